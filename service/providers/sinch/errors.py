"""Sinch's error codes: an explanation, what they say of the account, and of a resend.

Source: https://developers.sinch.com/docs/sms/api-reference/sms/tag/Delivery-reports/ (numbers, in
reports) and https://developers.sinch.com/docs/sms/api-reference/status-codes/ (words, in answers).
Answers without a word get the code `http_` and the status. A code that is not listed is an
operator's or new, and is permanent.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Final

from service.errors import ErrorFact
from service.providers import error_table

UNKNOWN: Final = ErrorFact(
    "This Sinch code is not in our list. Look it up before you resend.",
    retryable=False,
    listed=False,
)
ERRORS: Final[Mapping[str, ErrorFact]] = error_table.load(Path(__file__).with_name("errors.csv"))


def explain(code: str) -> ErrorFact:
    """Return the explanation of a code, or `UNKNOWN`."""
    return ERRORS.get(code, UNKNOWN)
