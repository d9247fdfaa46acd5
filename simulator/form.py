"""Parses forms and query strings; a field may have several values."""

from collections.abc import Mapping, Sequence
from urllib.parse import parse_qs

Form = Mapping[str, Sequence[str]]


def read_form(text: str) -> Form:
    """Parse a form body or a query string; blank values are kept."""
    return parse_qs(text, keep_blank_values=True)


def last_value(form: Form, name: str) -> str | None:
    """Return the last value of a field; None if it is blank or missing."""
    values = form.get(name)
    return values[-1] if values and values[-1] else None
