"""A phone number inside any text, however it is spelled."""

import re
from functools import cache
from typing import Any, Final, NamedTuple

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
# Shorter national numbers would match codes and dates.
_SHORTEST_ALONE: Final = 7
_ENCODED_OR_DIGIT: Final = re.compile(r"(%(?:25)*[0-9a-f]{2}|\\u[0-9a-f]{4})|\d", re.IGNORECASE)


class Mention:
    """Finds one number, and puts nines in its place: JSON, forms and columns stay what they are."""

    def __init__(self, number: str) -> None:
        """Look for a number in E.164 form."""
        self._patterns = _patterns(number)

    @classmethod
    def of(cls, address: str) -> "Mention":
        """Look for the number of an address over any channel, with or without spaces."""
        return cls("+" + "".join(filter(str.isdecimal, address)))

    def is_address(self, address: str) -> bool:
        """Tell whether this is the number's own address: no other number may be taken for it."""
        return self._patterns.address.fullmatch(address.rpartition(":")[2]) is not None

    def is_in(self, *values: Any) -> bool:
        """Tell whether any of these values holds the number, at any depth."""
        return any(self.replaced(value) != value for value in values)

    def replaced(self, value: Any) -> Any:
        """Return a value without the number."""
        if isinstance(value, str):
            return self._patterns.text.sub(_with_nines, value)
        if isinstance(value, bytes):
            text = value.decode(errors="surrogateescape")
            return self._patterns.body.sub(_with_nines, text).encode(errors="surrogateescape")
        if isinstance(value, dict):
            return {self.replaced(key): self.replaced(item) for key, item in value.items()}
        if isinstance(value, list):
            return [self.replaced(item) for item in value]
        if isinstance(value, int) and not isinstance(value, bool):
            return int(self._patterns.text.sub(_with_nines, str(value)))
        return value


class _Patterns(NamedTuple):
    address: re.Pattern[str]
    text: re.Pattern[str]
    body: re.Pattern[str]  # of a form, where a plus is a blank


@cache
def _patterns(number: str) -> _Patterns:
    try:
        parsed = phonenumbers.parse(number)
    except phonenumbers.NumberParseException:  # no country has it: there is no other spelling
        plain = _digits(number.lstrip("+"))
        found = _compiled(_BEGIN + plain + _END)
        return _Patterns(_compiled(rf"\+?{_GAP}{plain}"), found, found)
    country = str(parsed.country_code)
    national = phonenumbers.national_significant_number(parsed)
    region = phonenumbers.region_code_for_country_code(parsed.country_code or 0)
    trunk = phonenumbers.ndd_prefix_for_region(region, True) or "0"
    # Mexico's mobile numbers had a 1 after the country code until 2019.
    inner = "[01]" if country == "52" else "0"
    abroad = rf"(?:(?:00|011){_GAP})?{_digits(country)}{_GAP}(?:{inner}{_GAP})?{_digits(national)}"
    optional = "?" if len(national) >= _SHORTEST_ALONE else ""
    at_home = rf"(?:0{_GAP}|{_digits(trunk)}{_GAP}){optional}{_digits(national)}"
    # After a plus it would be another country's number.
    text = rf"(?:{abroad}|(?<!\+)(?<!%2b){at_home})"
    body = rf"(?:{abroad}|(?<!%2b){at_home})"
    return _Patterns(
        _compiled(rf"\+?{_GAP}{abroad}"),
        _compiled(_BEGIN + text + _END),
        _compiled(_BEGIN + body + _END),
    )


def _compiled(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern, re.IGNORECASE)


def _digits(text: str) -> str:
    """Return a pattern for digits, in ASCII, full width or Arabic, with gaps between them."""
    zeros = 0x30, 0xFF10, 0x660, 0x6F0
    return _GAP.join(
        "[" + "".join(chr(zero + int(digit)) for zero in zeros) + "]" for digit in text
    )


def _with_nines(match: re.Match[str]) -> str:
    return _ENCODED_OR_DIGIT.sub(lambda part: part[1] or "9", match[0])
