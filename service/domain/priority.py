"""The priority of a message."""

from enum import IntEnum
from typing import Literal


class Priority(IntEnum):
    """The lower number is sent first."""

    HIGH = 0
    NORMAL = 1

    @property
    def word(self) -> Literal["high", "normal"]:
        """Return the word that clients use."""
        return "high" if self is Priority.HIGH else "normal"
