"""How many SMS a text takes, as providers count and carriers limit them.

GSM-7 where its alphabet suffices, else UCS-2 (3GPP TS 23.038). A provider may count otherwise
(other characters put in place, national tables): what it says stands in `message.segments`.
"""

from typing import Final

_BASIC: Final = frozenset(
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?"
    "¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
_EXTENDED: Final = frozenset("\f^{}\\[~]|€")  # two septets each


def segments(text: str | None) -> int:
    """Return how many segments a text takes: one at least, for a template or media too."""
    if not text:
        return 1
    if _BASIC.union(_EXTENDED).issuperset(text):
        return _parts([2 if one in _EXTENDED else 1 for one in text], 160, 153)
    return _parts([2 if ord(one) > 0xFFFF else 1 for one in text], 70, 67)


def _parts(widths: list[int], alone: int, joined: int) -> int:
    """Count parts; a character of two units is never split between them."""
    if sum(widths) <= alone:
        return 1
    parts, used = 1, 0
    for width in widths:
        if used + width > joined:
            parts, used = parts + 1, 0
        used += width
    return parts
