"""A phone number inside any text, however it is spelled."""

import re
from functools import cache
from typing import Any, Final

import phonenumbers

# What may stand between two digits: blanks and punctuation, as they are, URL-encoded (once or more
# often), or as JSON escapes them.
_GAP: Final = (
    r"(?:[\s()./+_\u00a0\u2010-\u2015-]|%(?:25)*(?:20|28|29|2[bdef]|c2%(?:25)*a0)"
    r"|\\u[0-9a-f]{4}|&nbsp;){0,4}"
)
# Not inside of a longer number; an encoded character ends with a digit that belongs to none.
_BEGIN: Final = r"(?:(?<!\d)|(?<=%[0-9a-f]{2})|(?<=\\u[0-9a-f]{4}))"
_END: Final = r"(?!\d)"
# A shorter national number would be found in codes and dates.
_SHORTEST_ALONE: Final = 7
_ENCODED_OR_DIGIT: Final = re.compile(r"(%(?:25)*[0-9a-f]{2}|\\u[0-9a-f]{4})|\d", re.IGNORECASE)


class Mention:
    """Finds one number, and puts nines in its place: JSON, forms and columns stay what they are."""

    def __init__(self, number: str) -> None:
        """Look for a number in E.164 form."""
        self._pattern = _pattern(number)

    @classmethod
    def of(cls, address: str) -> "Mention":
        """Look for the number of an address, whatever its channel and however it is spaced."""
        return cls("+" + "".join(filter(str.isdecimal, address)))

    def is_in(self, *values: Any) -> bool:
        """Tell whether any of these values holds the number, at any depth."""
        return any(self.replaced(value) != value for value in values)

    def replaced(self, value: Any) -> Any:
        """Return a value without the number."""
        if isinstance(value, str):
            return self._pattern.sub(_with_nines, value)
        if isinstance(value, bytes):
            text = value.decode(errors="surrogateescape")
            return self._pattern.sub(_with_nines, text).encode(errors="surrogateescape")
        if isinstance(value, dict):
            return {self.replaced(key): self.replaced(one) for key, one in value.items()}
        if isinstance(value, list):
            return [self.replaced(one) for one in value]
        if isinstance(value, int) and not isinstance(value, bool):
            return int(self._pattern.sub(_with_nines, str(value)))
        return value


@cache
def _pattern(number: str) -> re.Pattern[str]:
    try:
        parsed = phonenumbers.parse(number)
    except phonenumbers.NumberParseException:  # no country has it: there is no other spelling
        return re.compile(_BEGIN + _digits(number.lstrip("+")) + _END, re.IGNORECASE)
    country = str(parsed.country_code)
    national = phonenumbers.national_significant_number(parsed)
    region = phonenumbers.region_code_for_country_code(parsed.country_code or 0)
    trunk = phonenumbers.ndd_prefix_for_region(region, True) or "0"
    # Mexico's mobile numbers had a 1 after the country code until 2019.
    inner = "[01]" if country == "52" else "0"
    abroad = rf"(?:(?:00|011){_GAP})?{_digits(country)}{_GAP}(?:{inner}{_GAP})?"
    prefix = rf"(?:{abroad}|0{_GAP}|{_digits(trunk)}{_GAP})"
    optional = "?" if len(national) >= _SHORTEST_ALONE else ""
    return re.compile(f"{_BEGIN}{prefix}{optional}{_digits(national)}{_END}", re.IGNORECASE)


def _digits(text: str) -> str:
    """Return a pattern for digits, in ASCII, full width or Arabic, with gaps between them."""
    zeros = 0x30, 0xFF10, 0x660, 0x6F0
    return _GAP.join("[" + "".join(chr(zero + int(one)) for zero in zeros) + "]" for one in text)


def _with_nines(found: re.Match[str]) -> str:
    return _ENCODED_OR_DIGIT.sub(lambda part: part[1] or "9", found[0])
