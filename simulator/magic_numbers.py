"""The phone numbers that Twilio keeps for tests, each with its own answer.

https://www.twilio.com/docs/iam/test-credentials
"""

from typing import Final

from simulator.codes import Refusal

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
    """Raise the Refusal that these numbers stand for; any other number means nothing."""
    if code := _TO.get(to):
        raise Refusal(code)
    if sender and sender.startswith(_RESERVED) and (code := _FROM.get(sender, _NOT_OURS)):
        raise Refusal(code)
