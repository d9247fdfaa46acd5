"""Find and mask a phone number in any text, in any spelling."""

import re
from functools import cache
from typing import Any, Final, NamedTuple

import phonenumbers

# Between two digits: blanks and punctuation, plain, URL-encoded (once or several times), or escaped
# as in JSON.
_GAP: Final = (
    r"(?:[\s()./+_\u00a0\u2010-\u2015-]|%(?:25)*(?:20|28|29|2[bdef]|c2%(?:25)*a0)"
    r"|\\u[0-9a-f]{4}|&nbsp;){0,4}"
)
# Not inside a longer number. The last hex digit of an encoded character belongs to no number.
_BEGIN: Final = r"(?:(?<!\d)|(?<=%[0-9a-f]{2})|(?<=\\u[0-9a-f]{4}))"
_END: Final = r"(?!\d)"
# Digits. Shorter national numbers would match codes and dates.
_MIN_NATIONAL: Final = 7
_ENCODED_OR_DIGIT: Final = re.compile(r"(%(?:25)*[0-9a-f]{2}|\\u[0-9a-f]{4})|\d", re.IGNORECASE)


class NumberPattern:
    """Matches one number in all its spellings; masks it with nines, so that JSON stays valid."""

    def __init__(self, number: str) -> None:
        """Match a number in E.164 form."""
        self._patterns = _patterns(number)

    @classmethod
    def of(cls, address: str) -> "NumberPattern":
        """Match the number of an address over any channel."""
        return cls("+" + "".join(filter(str.isdecimal, address)))

    def is_address(self, address: str) -> bool:
        """Return whether this is an address of the number, and not one of a longer number."""
        return self._patterns.address.fullmatch(address.rpartition(":")[2]) is not None

    def is_in(self, *values: Any) -> bool:
        """Return whether any of these values holds the number, at any depth."""
        return any(self.mask(value) != value for value in values)

    def mask(self, value: Any) -> Any:
        """Return a value with the number's digits replaced by nines."""
        if isinstance(value, str):
            return self._patterns.text.sub(_with_nines, value)
        if isinstance(value, bytes):
            text = value.decode(errors="surrogateescape")
            return self._patterns.body.sub(_with_nines, text).encode(errors="surrogateescape")
        if isinstance(value, dict):
            return {self.mask(key): self.mask(item) for key, item in value.items()}
        if isinstance(value, list):
            return [self.mask(item) for item in value]
        if isinstance(value, int) and not isinstance(value, bool):
            return int(self._patterns.text.sub(_with_nines, str(value)))
        return value


class _Patterns(NamedTuple):
    address: re.Pattern[str]
    text: re.Pattern[str]
    body: re.Pattern[str]  # form-encoded: a plus is a blank


@cache
def _patterns(number: str) -> _Patterns:
    try:
        parsed = phonenumbers.parse(number)
    except phonenumbers.NumberParseException:  # no country code: there is only one spelling
        plain = _digits(number.lstrip("+"))
        anywhere = _compiled(_BEGIN + plain + _END)
        return _Patterns(_compiled(rf"\+?{_GAP}{plain}"), anywhere, anywhere)
    country = str(parsed.country_code)
    national = phonenumbers.national_significant_number(parsed)
    region = phonenumbers.region_code_for_country_code(parsed.country_code or 0)
    trunk = phonenumbers.ndd_prefix_for_region(region, True) or "0"
    # Mexico's mobile numbers had a 1 after the country code until 2019.
    prefix = "[01]" if country == "52" else "0"
    code = rf"(?:(?:00|011){_GAP})?{_digits(country)}{_GAP}(?:{prefix}{_GAP})?"
    international = code + _digits(national)
    optional = "?" if len(national) >= _MIN_NATIONAL else ""
    domestic = rf"(?:0{_GAP}|{_digits(trunk)}{_GAP}){optional}{_digits(national)}"
    # After a plus, the digits begin with a country code: it is another number.
    text = rf"(?:{international}|(?<!\+)(?<!%2b){domestic})"
    body = rf"(?:{international}|(?<!%2b){domestic})"
    return _Patterns(
        _compiled(rf"\+?{_GAP}{international}"),
        _compiled(_BEGIN + text + _END),
        _compiled(_BEGIN + body + _END),
    )


def _compiled(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern, re.IGNORECASE)


def _digits(text: str) -> str:
    """Return a pattern for digits (ASCII, full-width or Arabic) with gaps between them."""
    zeros = 0x30, 0xFF10, 0x660, 0x6F0
    return _GAP.join(
        "[" + "".join(chr(zero + int(digit)) for zero in zeros) + "]" for digit in text
    )


def _with_nines(match: re.Match[str]) -> str:
    return _ENCODED_OR_DIGIT.sub(lambda part: part[1] or "9", match[0])
