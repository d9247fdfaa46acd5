"""Errors that encode the decision they cause: whose fault, worth another try, or unknown."""

from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple


class FieldError(NamedTuple):
    """One thing wrong with one field of a request."""

    field: str
    message: str


class ClientError(Exception):
    """The request cannot be honoured as it stands; the caller can mend it."""

    status = 400
    title = "Bad request"

    def __init__(self, detail: str, errors: Sequence[FieldError] = ()) -> None:
        super().__init__(detail)
        self.detail = detail
        self.errors = tuple(errors)


class Unauthenticated(ClientError):
    """The caller did not present a live API key."""

    status = 401
    title = "Unauthorized"


class NotFound(ClientError):
    """The caller has nothing by that name."""

    status = 404
    title = "Not found"


class Conflict(ClientError):
    """The request contradicts what already is."""

    status = 409
    title = "Conflict"


class Invalid(ClientError):
    """A field holds something we cannot accept."""

    status = 422
    title = "Invalid request"


class RateLimited(ClientError):
    """The caller posts more than it may; the same request may succeed shortly."""

    status = 429
    title = "Too many requests"


class Unavailable(ClientError):
    """Somebody we depend on does not answer; the same request may succeed shortly."""

    status = 503
    title = "Service unavailable"


class Forged(Exception):
    """The callback is not proved to come from the provider; `reason` is a short label."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class ProviderError(Exception):
    """A call to a provider did not end in an answer we wanted."""

    def __init__(
        self,
        message: str,
        code: str | None = None,
        raw: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.code = code
        self.raw = dict(raw or {})


class Refused(ProviderError):
    """The provider said no, and would say no again. Final."""


class NotAccepted(ProviderError):
    """The request certainly had no effect. Safe to try again, later."""

    def __init__(
        self,
        message: str,
        code: str | None = None,
        raw: Mapping[str, Any] | None = None,
        retry_after: float | None = None,
    ) -> None:
        """Take also for how many seconds the provider wants no other request, if it says so."""
        super().__init__(message, code, raw)
        self.retry_after = retry_after


class OutcomeUnknown(ProviderError):
    """The request may have had its effect. Never blindly repeat it."""


class InboxUnavailable(Exception):
    """The inbox could not take the callback; it was not stored."""


class OverflowUnavailable(Exception):
    """The database could not take the callback either; it was not stored."""


class ErrorFact(NamedTuple):
    """What one error code means to a person, and to the decision whether to send again."""

    explanation: str
    """What happened and what to do: a sentence or two, under 140 characters."""
    retryable: bool
    """Whether a new send of the same text to the same number could succeed, now or later."""
    opted_out: bool = False
    """Whether the recipient told this sender to stop: nobody is asked again until that ends."""


GAVE_UP: Final = "waybill_gave_up"
EXPIRED: Final = "waybill_expired"
OUTCOME_UNKNOWN: Final = "waybill_outcome_unknown"

OWN_CODES: Final[Mapping[str, ErrorFact]] = {
    GAVE_UP: ErrorFact(
        "The provider would not take the message, however often we tried. Nothing was sent.", True
    ),
    EXPIRED: ErrorFact(
        "Its validity period ended before the provider took it. Nothing was sent. "
        "Post it again if it still matters.",
        True,
    ),
    OUTCOME_UNKNOWN: ErrorFact(
        "Nobody could tell us whether it went out. It may have arrived. Check before resending.",
        False,
    ),
}
