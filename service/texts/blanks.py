"""Detect texts without visible characters."""

import unicodedata
from typing import Final

# Letters, marks and symbols that are invisible: fillers, joiners, the empty Braille cell and
# variation selectors. https://www.unicode.org/reports/tr44/#Default_Ignorable_Code_Point
_INVISIBLE: Final = frozenset(
    "\u034f\u115f\u1160\u17b4\u17b5\u180b\u180c\u180d\u180f\u2800\u3164\uffa0"
)
_INVISIBLE_CATEGORIES: Final = frozenset({"Cc", "Cf", "Zl", "Zp", "Zs"})


def is_blank(text: str) -> bool:
    """Return whether a text has only whitespace and invisible characters."""
    return all(map(_is_invisible, text))


def _is_invisible(character: str) -> bool:
    if character in _INVISIBLE or "\ufe00" <= character <= "\ufe0f":
        return True
    return (
        "\U000e0100" <= character <= "\U000e01ef"
        or unicodedata.category(character) in _INVISIBLE_CATEGORIES
    )
