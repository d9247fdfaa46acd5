"""Estimates the encoding and the segments of a text as an SMS (3GPP TS 23.038)."""

from math import ceil
from typing import Final, Literal

_BASIC: Final = frozenset(
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?"
    "¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
_EXTENDED: Final = frozenset("\f^{}\\[~]|€")  # two septets each


def length(text: str) -> int:
    """Return the length of a text in UTF-16 code units, as providers count it."""
    return len(text.encode("utf-16-le", "surrogatepass")) // 2


def estimate(text: str) -> tuple[Literal["gsm-7", "ucs-2"], int]:
    """Return the encoding and the number of segments.

    Unlike the real server it does not keep graphemes together at the end of a segment.
    """
    if (_BASIC | _EXTENDED).issuperset(text):
        units = len(text) + sum(character in _EXTENDED for character in text)
        return "gsm-7", 1 if units <= 160 else ceil(units / 153)
    units = length(text)
    return "ucs-2", 1 if units <= 70 else ceil(units / 67)
