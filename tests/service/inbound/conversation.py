"""Inbound messages for tests, as Twilio and Sinch send them."""

from datetime import UTC, datetime
from itertools import count
from typing import Any
from urllib.parse import urlencode

from service.components import components
from service.providers.base import Callback, Inbound
from tests.conftest import ACCOUNT
from tests.fakes import fake_signature

PERSON = "+14155552671"
SENDER = "+15005550006"
_numbers = count(1)


def form(body: str = "Hello", **changes: str) -> dict[str, str]:
    """Return the fields of an inbound message of Twilio, with a new SID."""
    sid = f"SM{next(_numbers):032x}"
    fields = {
        "MessageSid": sid,
        "SmsSid": sid,
        "SmsMessageSid": sid,
        "AccountSid": ACCOUNT,
        "From": PERSON,
        "To": SENDER,
        "Body": body,
        "NumMedia": "0",
        "NumSegments": "1",
    }
    return {**fields, **changes}


def heard(body: str = "Hello", at: datetime | None = None, **changes: str) -> Inbound:
    """Return an inbound message as it comes out of the inbox."""
    arrived = at or datetime.now(UTC)
    sent = urlencode(form(body, **changes)).encode()
    parsed = components().providers["twilio"].parse(Callback("twilio", "", sent, arrived))
    assert isinstance(parsed, Inbound)
    return parsed


def signed(path: str, fields: dict[str, str]) -> dict[str, Any]:
    """Return a request with these fields that the fake provider accepts."""
    body = urlencode(fields).encode()
    return {"data": body, "headers": {"X-Fake-Signature": fake_signature(path, body)}}
