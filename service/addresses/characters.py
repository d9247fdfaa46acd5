"""Replace the characters of an address with those of a plain keyboard."""

import unicodedata
from typing import Final

from service.addresses.errors import EXAMPLE, UnusableAddress

# These characters change the order in which digits are shown: a person sees another number.
_OVERRIDES: Final = frozenset("\u202d\u202e")
_FULL_WIDTH: Final = {code: code - 0xFEE0 for code in range(0xFF01, 0xFF5F)}


def plain(text: str) -> str:
    """Return the text with plain digits, spaces and dashes. Raises UnusableAddress.

    Numbers that people copy from web pages contain direction marks, no-break spaces, dashes, and
    digits of other scripts. Superscripts are not digits.
    """
    if not _OVERRIDES.isdisjoint(text):
        raise UnusableAddress(f"has invisible characters that reverse its digits: {EXAMPLE}")
    if text.isascii():
        return text.strip()
    return "".join(map(_plain_character, text.translate(_FULL_WIDTH))).strip()


def _plain_character(character: str) -> str:
    category = unicodedata.category(character)
    if category == "Nd":
        return str(unicodedata.decimal(character))
    if category == "Cf":
        return ""
    if category == "Zs":
        return " "
    return "-" if category == "Pd" or character == "\u2212" else character
