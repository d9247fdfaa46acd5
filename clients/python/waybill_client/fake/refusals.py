"""How the fake refuses a request: with the status, the title and the fields of the real server."""

from collections.abc import Mapping
from typing import Final

from waybill_client import types

_TITLES: Final = {
    400: "Bad request",
    401: "Unauthorized",
    404: "Not found",
    405: "Method Not Allowed",
    409: "Conflict",
    410: "Gone",
    422: "Invalid request",
    429: "Too many requests",
    500: "Internal Server Error",
    503: "Service unavailable",
}


class Refusal(Exception):
    """An answer that is a problem document."""

    def __init__(self, status: int, detail: str, errors: Mapping[str, str] | None = None) -> None:
        super().__init__(detail)
        self.document: types.Problem = {
            "type": "about:blank",
            "title": _TITLES.get(status, "Error"),
            "status": status,
            "detail": detail,
        }
        if errors:
            self.document["errors"] = [
                {"field": field, "message": message} for field, message in errors.items()
            ]


def invalid(errors: Mapping[str, str]) -> Refusal:
    """Return the refusal of a request with invalid fields."""
    return Refusal(422, "the request has invalid fields; see errors", errors)
