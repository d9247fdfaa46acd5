"""A form as it came over the wire: every name with all its values."""

from collections.abc import Mapping, Sequence
from urllib.parse import parse_qs

Form = Mapping[str, Sequence[str]]


def read_form(text: str) -> Form:
    """Read a form body or a query string; blank values count."""
    return parse_qs(text, keep_blank_values=True)


def one(form: Form, name: str) -> str | None:
    """Return the last value of a field; a blank one is as good as none."""
    values = form.get(name)
    return values[-1] if values and values[-1] else None
