"""Explains why a webhook got no answer, without quoting its URL or the receiver."""

import ssl
from http.client import HTTPException

from service.webhook_client.connection import AnswerTooLong, NotConnected
from service.webhook_client.destination import Forbidden
from service.webhook_client.resolver import NotResolved


def explained(error: Exception, timeout: float) -> str:
    """Return one line on an error of a call that took at most `timeout` seconds."""
    match error:
        case Forbidden():
            return f"not called: {error}"
        case NotConnected():
            return f"could not connect: {error}"
        case AnswerTooLong():
            return "the answer is too long"
        case ssl.SSLCertVerificationError():
            return f"the certificate is not accepted: {error.verify_message}"
        case ssl.SSLError():
            return f"TLS failed: {error.reason or type(error).__name__}"
        case NotResolved():
            return "the host name could not be resolved"
        case TimeoutError():
            return f"no answer within {timeout:g} s"
        case ConnectionError():
            return "the connection was closed without an answer"
        case HTTPException():
            return f"no valid HTTP answer ({type(error).__name__})"
        case _:
            return f"the call failed ({type(error).__name__})"
