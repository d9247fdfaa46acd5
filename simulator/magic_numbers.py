"""Twilio's magic phone numbers for tests: each gives a certain error.

https://www.twilio.com/docs/iam/test-credentials
"""

from typing import Final

from simulator.error_codes import ApiError

_RESERVED: Final = "+15005550"
_TO: Final = {
    "+15005550001": 21211,
    "+15005550002": 21612,
    "+15005550003": 21408,
    "+15005550004": 21610,
    "+15005550009": 21614,
}
_FROM: Final = {"+15005550001": 21212, "+15005550006": None, "+15005550008": 21611}
_NOT_OURS: Final = 21606


def check_magic(to: str, sender: str | None) -> None:
    """Raise the ApiError of a magic number. Other numbers pass."""
    if code := _TO.get(to):
        raise ApiError(code)
    if sender and sender.startswith(_RESERVED) and (code := _FROM.get(sender, _NOT_OURS)):
        raise ApiError(code)
