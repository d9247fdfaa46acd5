"""The error for texts that are not an address."""

from typing import Final

EXAMPLE: Final = "write it in E.164 form, such as +14155552671"


class UnusableAddress(ValueError):
    """The text is not an address. The message says what is wrong and what to write instead."""
