"""How many SMS a text takes.

https://www.twilio.com/docs/glossary/what-is-gsm-7-character-encoding
"""

from math import ceil
from typing import Final

_BASIC: Final = frozenset(
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?"
    "¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
_EXTENDED: Final = frozenset("\f^{}\\[~]|€")  # each takes two places
_GSM_7: Final = _BASIC | _EXTENDED


def count_segments(text: str) -> int:
    """Return the number of segments; an empty text still takes one."""
    if _GSM_7.issuperset(text):
        return _split(len(text) + sum(character in _EXTENDED for character in text), 160, 153)
    return _split(len(text.encode("utf-16-le")) // 2, 70, 67)


def _split(length: int, alone: int, joined: int) -> int:
    return 1 if length <= alone else ceil(length / joined)
