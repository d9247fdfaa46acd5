"""The cursor of the feed: a position, as text that clients do not interpret."""

import re
from typing import Final

from service.queries.events import Position

START: Final[Position] = (-1, 0)
_FORM: Final = re.compile(r"(\d{1,18})-(\d{1,18})")


def encode(position: Position) -> str:
    """Return a position as text."""
    return f"{max(position[0], 0)}-{position[1]}"


def decode(text: str) -> Position:
    """Return the position in a text. Raises ValueError for any other text."""
    match = _FORM.fullmatch(text)
    if match is None:
        raise ValueError("must be a next_cursor of an earlier answer")
    return int(match[1]), int(match[2])
