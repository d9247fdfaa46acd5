"""Estimate the segments and the encoding of a text as an SMS.

The encoding is GSM-7 if its alphabet has all characters, else UCS-2 (3GPP TS 23.038). A provider
may replace characters or use national tables; `message.segments` is the count that it reports.
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
    """Number of segments, and encoding."""

    segments: int
    encoding: str


def estimate(text: str) -> Estimate:
    """Return segments and encoding of a text as an SMS: at least one segment."""
    if _ALPHABET.issuperset(text):
        septets = [2 if character in _EXTENDED else 1 for character in text]
        return Estimate(_segments(septets, 160, 153), GSM_7)
    return Estimate(_segments(_graphemes(text, 67), 70, 67), UCS_2)


def segments(text: str | None) -> int:
    """Return the number of segments of a text: at least one, also without a text."""
    return estimate(text or "").segments


def length(text: str) -> int:
    """Return the length of a text in UTF-16 code units, as providers count it."""
    return len(text) + sum(character > "\uffff" for character in text)


def _graphemes(text: str, max_length: int) -> list[int]:
    """Return the length of each grapheme: a segment does not end inside a grapheme.

    A grapheme that is longer than a segment is split; CR LF counts as two characters.
    """
    pieces = (
        [piece] if length(piece) <= max_length and piece != "\r\n" else piece
        for piece in _GRAPHEME.findall(text)
    )
    return [length(piece) for piece in chain.from_iterable(pieces)]


def _segments(widths: Sequence[int], single: int, joined: int) -> int:
    """Return the number of segments; no width is split between two segments."""
    if sum(widths) <= single:
        return 1
    segments, used = 1, 0
    for width in widths:
        if used + width > joined:
            segments, used = segments + 1, 0
        used += width
    return segments
