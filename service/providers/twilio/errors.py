"""Twilio's error codes: an explanation, what they say of the account, and of a resend.

Source: https://www.twilio.com/docs/api/errors (one page per code below that address). Twilio
changes its codes and advises against logic that depends on them, so a code that is not listed is
permanent. So is a code with an unknown outcome, because a resend could deliver twice.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Final

from service.errors import ErrorFact
from service.providers import error_table

UNKNOWN: Final = ErrorFact(
    "This Twilio code is not in our list. Look it up before you resend.",
    retryable=False,
    listed=False,
)
ERRORS: Final[Mapping[str, ErrorFact]] = error_table.load(Path(__file__).with_name("errors.csv"))


def explain(code: str) -> ErrorFact:
    """Return the explanation of a code, or `UNKNOWN`."""
    return ERRORS.get(code, UNKNOWN)
