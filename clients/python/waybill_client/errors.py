"""Errors of the client. None contains the API key, a signing secret or the text of a message."""

from collections.abc import Mapping
from typing import Any


class WaybillError(Exception):
    """Anything that went wrong between this client and Waybill."""

    #: The key of the send that failed: send the same again with it, and no message goes out twice.
    idempotency_key: str | None = None


class NoAnswer(WaybillError):
    """No connection, a time-out, or an answer that was cut off.

    `received` is False if the request certainly did not reach the server.
    """

    def __init__(self, reason: str, received: bool = True) -> None:
        super().__init__(reason, received)
        self.reason = reason
        self.received = received

    def __str__(self) -> str:
        return f"no answer from Waybill: {self.reason}"


class Problem(WaybillError):
    """Waybill refused the request; the attributes are those of RFC 9457.

    `errors` maps each invalid field to what is wrong with it. `retry_after` is in seconds.
    """

    def __init__(
        self,
        document: Mapping[str, Any],
        request_id: str | None = None,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(document, request_id, retry_after)
        self.status = int(document["status"])
        self.title = str(document.get("title", ""))
        self.detail = str(document.get("detail", ""))
        self.errors = {each["field"]: each["message"] for each in document.get("errors", ())}
        self.request_id = request_id
        self.retry_after = retry_after

    def __str__(self) -> str:
        fields = "".join(f"; {field} {message}" for field, message in self.errors.items())
        request = f" (request {self.request_id})" if self.request_id else ""
        return f"{self.status} {self.title}: {self.detail}{fields}{request}"


class Invalid(Problem):
    """The request is invalid (400, 413, 422): correct it. The idempotency key is not used up."""


class Unauthenticated(Problem):
    """The API key is missing, unknown or revoked (401)."""


class NotFound(Problem):
    """There is no such message, endpoint or opt-out, or it is another client's (404)."""


class Conflict(Problem):
    """Too late to cancel or to resend, or the key was used for a different request (409)."""


class CursorExpired(Problem):
    """Events behind this cursor were deleted because of their age (410).

    Read on with `after=None` (the oldest event that is kept) or `after="now"`, and read the
    messages of the time in between with `messages(created_after=...)`.
    """


class RateLimited(Problem):
    """Waybill refused the request because of a rate limit (429)."""


class ServerError(Problem):
    """An error in Waybill, or its database is unavailable (5xx)."""


class InvalidSignature(WaybillError):
    """A webhook was not signed with this secret, or too long ago: answer 400 and ignore it."""


_BY_STATUS: Mapping[int, type[Problem]] = {
    400: Invalid,
    401: Unauthenticated,
    404: NotFound,
    409: Conflict,
    410: CursorExpired,
    413: Invalid,
    422: Invalid,
    429: RateLimited,
}


def problem(
    document: Mapping[str, Any], request_id: str | None = None, retry_after: float | None = None
) -> Problem:
    """Return the error of a problem document."""
    status = int(document["status"])
    kind = _BY_STATUS.get(status, ServerError if status >= 500 else Problem)
    return kind(document, request_id, retry_after)
