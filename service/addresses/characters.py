"""The characters of an address, as on a plain keyboard."""

import unicodedata
from typing import Final

from service.addresses.errors import EXAMPLE, UnusableAddress

# They change the order in which digits are shown: what a person read is not what was posted.
_OVERRIDES: Final = frozenset("\u202d\u202e")
_FULL_WIDTH: Final = {code: code - 0xFEE0 for code in range(0xFF01, 0xFF5F)}


def plain(text: str) -> str:
    """Return the text as typed on a plain keyboard. Raises UnusableAddress.

    Numbers are copied from web pages, with marks for the direction of writing, no-break spaces,
    dashes, and digits of other scripts. Only decimal digits are read as digits, not superscripts.
    """
    if not _OVERRIDES.isdisjoint(text):
        raise UnusableAddress(f"has characters that reverse its digits: {EXAMPLE}")
    if text.isascii():
        return text.strip()
    return "".join(map(_typed, text.translate(_FULL_WIDTH))).strip()


def _typed(character: str) -> str:
    category = unicodedata.category(character)
    if category == "Nd":
        return str(unicodedata.decimal(character))
    if category == "Cf":
        return ""
    if category == "Zs":
        return " "
    return "-" if category == "Pd" or character == "\u2212" else character
