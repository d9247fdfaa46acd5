"""How many SMS a text takes, as providers count and mobile networks limit them.

GSM-7 where its alphabet suffices, else UCS-2 (3GPP TS 23.038). It is an estimate: a provider may
replace characters or use national tables. What the provider reports is in `message.segments`.
"""

from collections.abc import Sequence
from itertools import chain
from typing import Final, NamedTuple

import regex

GSM_7: Final = "gsm-7"
UCS_2: Final = "ucs-2"

_BASIC: Final = frozenset(
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?"
    "¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
_EXTENDED: Final = frozenset("\f^{}\\[~]|€")  # two septets each
_ALPHABET: Final = _BASIC | _EXTENDED
_GRAPHEME: Final = regex.compile(r"\X")


class Estimate(NamedTuple):
    """How many segments a text takes, and in which encoding."""

    segments: int
    encoding: str


def estimate(text: str) -> Estimate:
    """Return how many segments a text takes as an SMS: at least one."""
    if _ALPHABET.issuperset(text):
        septets = [2 if character in _EXTENDED else 1 for character in text]
        return Estimate(_parts(septets, 160, 153), GSM_7)
    return Estimate(_parts(_graphemes(text, 67), 70, 67), UCS_2)


def segments(text: str | None) -> int:
    """Return how many segments a text takes: at least one, also without a text."""
    return estimate(text or "").segments


def length(text: str) -> int:
    """Return how many characters a text has as providers count them: units of UTF-16."""
    return len(text) + sum(character > "\uffff" for character in text)


def _graphemes(text: str, longest: int) -> list[int]:
    """Return the length of each grapheme: what a reader sees as one character is not cut.

    A grapheme that is longer than a whole part has to be cut; CR LF counts as two characters.
    """
    pieces = (
        [piece] if length(piece) <= longest and piece != "\r\n" else piece
        for piece in _GRAPHEME.findall(text)
    )
    return [length(piece) for piece in chain.from_iterable(pieces)]


def _parts(widths: Sequence[int], alone: int, joined: int) -> int:
    """Count parts; no width is split between two of them."""
    if sum(widths) <= alone:
        return 1
    parts, used = 1, 0
    for width in widths:
        if used + width > joined:
            parts, used = parts + 1, 0
        used += width
    return parts
