"""What came over a wire, as any database can hold it."""

import re
from typing import Final
from uuid import UUID

# Longest values we keep as columns; the raw payload has the rest.
SHORT: Final = 64
LONG: Final = 1000


def storable(text: str) -> str:
    """Replace NUL, which PostgreSQL cannot hold, and lone surrogates, which nobody can."""
    if text.isprintable():  # neither is; and hardly any text is not
        return text
    return text.replace("\x00", "\ufffd").encode(errors="replace").decode()


def clip(value: object, length: int) -> str | None:
    """Return a value as text that any database can hold, or None for nothing."""
    return storable(str(value))[:length] if value else None


def scalar(value: object) -> str:
    """Return a plain value as text, and nothing for whatever is nested, however deep."""
    return str(value) if isinstance(value, str | int | float) else ""


def as_sid(value: object) -> str | None:
    """Return a provider's id of a message; None for what can be no id."""
    return None if isinstance(value, bool) else clip(scalar(value).strip(), SHORT)


def same_address(a: str, b: str) -> bool:
    """Tell whether two addresses are one, however providers write numbers."""
    return _address(a) == _address(b)


def _address(text: str) -> tuple[str, str]:
    """Return the channel and the number, or the name that is none."""
    channel, _, rest = text.strip().rpartition(":")
    number = re.sub(r"[^0-9]", "", rest)
    if not number or re.search(r"[A-Za-z]", rest):
        return channel.lower(), rest
    # Mexico dropped the 1 of mobile numbers in 2019; WhatsApp still writes it.
    return channel.lower(), re.sub(r"^521(?=\d{10}$)", "52", number)


def as_count(value: object) -> int | None:
    """Return a number of parts, 1 to 999, or None for anything else."""
    text = str(value)
    return int(text) if text.isdecimal() and len(text) <= 3 and int(text) > 0 else None


def as_uuid(text: str) -> UUID | None:
    """Return an id of ours, or None for any other text."""
    try:
        return UUID(text)
    except ValueError:
        return None
