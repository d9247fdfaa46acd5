"""The bodies of the sandbox's callbacks, in Twilio's words."""

from typing import Final
from urllib.parse import urlencode

from service.providers.base import Outbound

DEFAULT_SENDER: Final = "+15005550006"
FAILURES: Final = ("failed", "undelivered")


def status_form(sid: str, word: str, code: str | None) -> bytes:
    """Return a status callback; only failures have an error code."""
    form = {"MessageSid": sid, "MessageStatus": word}
    if code is not None and word in FAILURES:
        form["ErrorCode"] = code
    return urlencode(form).encode()


def reply_form(sid: str, outbound: Outbound, text: str) -> bytes:
    """Return a message of the recipient to the sender."""
    form = {
        "MessageSid": sid,
        "From": outbound.to,
        "To": outbound.sender or DEFAULT_SENDER,
        "MessagingServiceSid": outbound.messaging_service_sid or "",
        "Body": text,
        "NumMedia": "0",
        "NumSegments": "1",
    }
    return urlencode(form).encode()
