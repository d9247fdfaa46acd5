"""The name of the account that the settings without an accounts file describe."""

from typing import Final

DEFAULT_ACCOUNT: Final = "default"
