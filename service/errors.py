"""Errors of the service, each named for the decision that it causes."""

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

from service.domain.scope import Scope


class FieldError(NamedTuple):
    """An error in one field of a request. The message continues the name of the field."""

    field: str
    message: str


class ClientError(Exception):
    """The request cannot be fulfilled; the client can correct it."""

    status = 400
    title = "Bad request"

    def __init__(self, detail: str, errors: Sequence[FieldError] = ()) -> None:
        super().__init__(detail)
        self.detail = detail
        self.errors = tuple(errors)


class Unauthenticated(ClientError):
    """The request has no valid API key."""

    status = 401
    title = "Unauthorized"


class NotFound(ClientError):
    """The client has no such object."""

    status = 404
    title = "Not found"


class Conflict(ClientError):
    """The request contradicts the current state."""

    status = 409
    title = "Conflict"


class Gone(ClientError):
    """What the request refers to was deleted."""

    status = 410
    title = "Gone"


class Invalid(ClientError):
    """A field of the request is invalid."""

    status = 422
    title = "Invalid request"


class RateLimited(ClientError):
    """The client exceeded a rate limit; the same request may succeed later."""

    status = 429
    title = "Too many requests"


class Unavailable(ClientError):
    """A dependency is unavailable; the same request may succeed later."""

    status = 503
    title = "Service unavailable"


class Forged(Exception):
    """The callback is not proven to come from the provider; `reason` is a short label."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class ProviderError(Exception):
    """A call to a provider failed."""

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
    """The provider refused the message and would refuse it again. Final."""


class NoRoute(Refused):
    """The provider cannot reach the recipient from this sender. Another provider may."""


class Blocked(ProviderError):
    """The provider refuses all messages of a scope until a person acts. Nothing was sent."""

    def __init__(
        self,
        message: str,
        code: str | None = None,
        raw: Mapping[str, Any] | None = None,
        scope: Scope = Scope.ACCOUNT,
    ) -> None:
        super().__init__(message, code, raw)
        self.scope = scope


class NotAccepted(ProviderError):
    """The request had no effect. It is safe to retry later."""

    def __init__(
        self,
        message: str,
        code: str | None = None,
        raw: Mapping[str, Any] | None = None,
        retry_after: float | None = None,
    ) -> None:
        """Store also the seconds after which the provider accepts requests again, if known."""
        super().__init__(message, code, raw)
        self.retry_after = retry_after


class OutcomeUnknown(ProviderError):
    """The request may have had its effect. Do not repeat it blindly."""


class InboxUnavailable(Exception):
    """The callback could not be stored in the inbox."""


class NotReplicated(Exception):
    """The callback is in the inbox, but not yet on enough replicas to survive a failover."""


class OverflowUnavailable(Exception):
    """The callback could not be stored in the overflow table."""


class ErrorFact(NamedTuple):
    """The meaning of an error code, for people and for retries."""

    explanation: str
    """What happened and what to do: one or two sentences, under 140 characters."""
    retryable: bool
    """Whether sending the same text to the same number again could succeed."""
    opted_out: bool = False
    """Whether the recipient opted out of this sender: later messages are then not sent."""
    blocks: Scope | None = None
    """The scope whose messages fail in the same way until a person acts."""
    no_route: bool = False
    """Whether another provider may reach the recipient."""
    listed: bool = True
    """Whether our table of the provider's codes has this code."""


GAVE_UP: Final = "waybill_gave_up"
EXPIRED: Final = "waybill_expired"
OPTED_OUT: Final = "waybill_opted_out"
OUTCOME_UNKNOWN: Final = "waybill_outcome_unknown"

OWN_CODES: Final[Mapping[str, ErrorFact]] = {
    GAVE_UP: ErrorFact(
        "The provider did not accept the message in any attempt. Nothing was sent.", True
    ),
    EXPIRED: ErrorFact(
        "The validity period ended before the provider accepted it. Nothing was sent. "
        "Post it again if it is still useful.",
        True,
    ),
    OPTED_OUT: ErrorFact(
        "The recipient opted out of messages from this sender. Nothing was sent. Do not write to "
        "them until they opt in again.",
        False,
    ),
    OUTCOME_UNKNOWN: ErrorFact(
        "It is unknown whether the message was sent. It may have arrived: check before resending.",
        False,
    ),
}

_PYDANTIC_PREFIX: Final = re.compile(r"^(Value error, |\w+ should (?=be|have|match))")


def as_requirement(message: str) -> str:
    """Return a message of pydantic in the form "must be ...", to follow the name of a field."""
    if message == "Field required":
        return "is required"
    return _PYDANTIC_PREFIX.sub(lambda prefix: "must " * ("should" in prefix[0]), message)
