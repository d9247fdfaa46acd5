"""What came over a wire, as any database can hold it."""

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
