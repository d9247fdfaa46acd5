"""Counts the SMS segments of a text.

https://www.twilio.com/docs/glossary/what-is-gsm-7-character-encoding
"""

from math import ceil
from typing import Final

_BASIC: Final = frozenset(
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?"
    "¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
_EXTENDED: Final = frozenset("\f^{}\\[~]|€")  # each counts as two characters
_GSM_7: Final = _BASIC | _EXTENDED


def count_segments(text: str) -> int:
    """Return the number of segments; 1 for an empty text."""
    if _GSM_7.issuperset(text):
        return _segments(len(text) + sum(character in _EXTENDED for character in text), 160, 153)
    return _segments(len(text.encode("utf-16-le")) // 2, 70, 67)


def _segments(length: int, single: int, concatenated: int) -> int:
    return 1 if length <= single else ceil(length / concatenated)
