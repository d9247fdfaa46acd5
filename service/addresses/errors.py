"""Why a text is not an address."""

from typing import Final

EXAMPLE: Final = "write it in E.164 form, such as +14155552671"


class UnusableAddress(ValueError):
    """The text is not an address; the message says what is wrong and what to write instead."""
