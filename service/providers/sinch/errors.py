"""Sinch's error codes: an explanation, and whether a resend could succeed.

Source: https://developers.sinch.com/docs/sms/api-reference/sms/tag/Delivery-reports/ (numbers, in
reports) and https://developers.sinch.com/docs/sms/api-reference/sms/ (words, in answers). A code
that is not listed is an operator's or new, and is permanent.
"""

from collections.abc import Mapping
from typing import Final

from service.errors import ErrorFact


def _final(explanation: str) -> ErrorFact:
    return ErrorFact(explanation, retryable=False)


def _again(explanation: str) -> ErrorFact:
    return ErrorFact(explanation, retryable=True)


UNKNOWN: Final = _final("This Sinch code is not in our list. Look it up before you resend.")
_SYNTAX: Final = _final("Sinch could not read the request. Correct what it names.")

ERRORS: Final[Mapping[str, ErrorFact]] = {
    # Delivery: errors of an accepted message at Sinch and the operators
    "402": _final("Sinch has no route to this number. Check it, or use another provider."),
    "403": _again("Sinch had an internal error. Resend, a few times at most."),
    "404": _again("The operator could not deliver it for now. Resend later, a few times."),
    "405": _final("The text names a template parameter that has no value. Correct the text."),
    "406": _again("The message expired at Sinch. Resend it if it is still useful."),
    "407": _final("We canceled the message. There is nothing to do."),
    "408": _final("Sinch refused it internally. Do not resend; ask Sinch if it continues."),
    "409": _final("The message cost more than the maximum price. Raise or remove that limit."),
    "410": _final("The plan has no default sender for this destination. Name a sender."),
    "411": _final("The text takes more parts than are allowed. Shorten it."),
    "412": _final("Sending to this region is not enabled for the plan. Have Sinch enable it."),
    "413": _final("The account is blocked or out of credit. Settle that with Sinch first."),
    "414": _final("The media could not be used. Correct it."),
    "415": _final("The message was rejected as MMS. Send it as text."),
    "416": _final("The recipient's network or phone takes no MMS. Send it as text."),
    "417": _again("The recipient could not be reached for MMS. Resend later, a few times."),
    "418": _final("The recipient was not recognised for MMS. Ask for another number."),
    # API answers
    "syntax_invalid_json": _SYNTAX,
    "syntax_invalid_parameter_format": _SYNTAX,
    "syntax_constraint_violation": _SYNTAX,
    "unknown_group": _final("The recipient names a group that does not exist. Use a number."),
    "unknown_campaign": _final("The campaign does not exist. Correct it at Sinch."),
    "missing_from": _final("The message has no sender. Set it in the settings or the message."),
    "missing_callback_url": _final("Sinch requires a callback address. Check the settings."),
    "unauthorized": _final("Sinch did not accept our token. Correct SINCH_API_TOKEN."),
    "forbidden": _final("The token may not do this for the service plan. Check both."),
}


def explain(code: str) -> ErrorFact:
    """Return the explanation of a code, or `UNKNOWN`."""
    return ERRORS.get(code, UNKNOWN)
