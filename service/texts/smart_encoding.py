"""Replace characters outside GSM-7 with similar GSM-7 characters, to save segments.

The table is that of the provider with this option, with the exceptions that docs/adr/0029 lists.
Emoji, accents and other scripts are not replaced.
"""

import re
import unicodedata
from collections.abc import Iterator
from typing import Final

# Code points in hexadecimal; first-last is a range.
_REPLACEMENTS: Final = (
    ('"', "AB BB 2BA 2EE 201C 201D 201E 201F 275D 275E 301D 301E"),
    ("'", "60 B4 2B9 2BB 2BC 2BD 2C8 2CA 2CB 313 314 2018 2019 201B 275B 275C FE10 FE11"),
    ("/", "F7 337 338 2044 2215 29F8"),
    ("\\", "20E5 29F5 29F9 FE68"),
    ("1/4", "BC"),
    ("1/2", "BD"),
    ("3/4", "BE"),
    ("_", "332 2017"),
    ("|", "20D2 20D3 2223 239C 239F 23B8 23B9 23D0"),
    ("-", "2010 2013 2014 2015 2022 2043 23BC 23BD FE63"),
    ("@", "FE6B"),
    ("$", "FE69"),
    ("#", "FE5F"),
    ("%", "FE6A"),
    ("&", "FE60"),
    ("!", "1C3 FE15 FE57"),
    ("!!", "203C"),
    ("?", "FE16 FE56"),
    (",", "326 201A 3001 FE50 FE51 FF64"),
    (".", "3002 FE52 FF61"),
    ("...", "2026"),
    (":", "2D0 2F8 2982 A789 FE13"),
    (";", "204F FE14 FE54"),
    ("(", "2768 276A 27EE 2985 FE59"),
    (")", "2769 276B 27EF 2986 FE5A"),
    ("{", "2774 FE5B"),
    ("}", "2775 FE5C"),
    ("*", "204E 2217 229B 2722-2725 2731-2733 273A-273D 2743 2749-274B 29C6 FE61"),
    ("+", "2D6 FE62"),
    ("=", "347 A78A FE66"),
    ("^", "2C6 302 1DCD"),
    ("~", "2DC 2F7 303 330 334 223C"),
    ("<", "2039 FE64"),
    (">", "203A FE65"),
    (" ", "9 80 8D 90 9B 9F A0 2000-200A 2028 2029 202F 205F 3000"),
    ("", "0 3 4 10-14 17 19 200B 2060 FEFF"),
)
_SMALL_CAPITALS: Final = dict(
    zip(
        "ABCDEFGHIJKLMNOPRSTUVWYZ",
        "ᴀʙᴄᴅᴇꜰɢʜɪᴊᴋʟᴍɴᴏᴘʀꜱᴛᴜᴠᴡʏᴢ",
        strict=True,
    )
)
# Full-width signs, digits and capitals, without the grave accent and small letters.
_FULL_WIDTH: Final = {
    chr(code + 0xFEE0): chr(code) for code in (*range(0x21, 0x60), *range(0x7B, 0x7F))
}
# 1½ becomes 1 1/2: 11/2 would be another number.
_MIXED_FRACTION: Final = re.compile("(?<=[0-9])(?=[¼½¾])")


def smart_encoded(text: str) -> str:
    """Return the text with GSM-7 characters in place of similar characters outside GSM-7."""
    spaced = _MIXED_FRACTION.sub(" ", unicodedata.normalize("NFC", text))
    return unicodedata.normalize("NFC", spaced.translate(_TABLE))


def _table() -> Iterator[tuple[int, str]]:
    for replacement, codes in _REPLACEMENTS:
        for span in codes.split():
            first, _, last = span.partition("-")
            for code in range(int(first, 16), int(last or first, 16) + 1):
                yield code, replacement
    for capital, small in _SMALL_CAPITALS.items():
        yield ord(small), capital
    for wide, plain in _FULL_WIDTH.items():
        yield ord(wide), plain


_TABLE: Final = dict(_table())
