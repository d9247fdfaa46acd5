"""Drafts as a test needs them, and patience for what happens in its own time."""

from collections.abc import Callable
from time import monotonic, sleep
from typing import Any
from uuid import UUID

from service.sending.accept import Draft

Post = Callable[..., UUID]


def draft(**changes: Any) -> Draft:
    given: dict[str, Any] = {
        "provider": "twilio",
        "to": "+14155552671",
        "sender": "+15005550006",
        "messaging_service_sid": None,
        "body": "Hello",
        "media_urls": None,
        "content_sid": None,
        "content_variables": None,
        "send_at": None,
        "validity_period": None,
        "reference": None,
        "details": {},
        "resend_if_unknown": False,
        "request_digest": b"d" * 32,
        "idempotency_key": None,
    }
    return Draft(**{**given, **changes})


def assert_soon(condition: Callable[[], bool]) -> None:
    """Fail unless the condition holds within seconds."""
    until = monotonic() + 5
    while not condition():
        assert monotonic() < until, "it did not come true"
        sleep(0.005)
