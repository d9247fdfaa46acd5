"""Numbers of persons who answer each message that is delivered to them."""

from typing import Final

_ANSWERS: Final = {
    "+15005550170": "STOP",
    "+15005550171": "START",
    "+15005550172": "Thank you!",
}


def answer_of(number: str) -> str | None:
    """Return what the person with this number answers; None for nothing."""
    return _ANSWERS.get(number)
