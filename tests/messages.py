"""Drafts for tests, and waiting for a condition."""

from collections.abc import Callable
from time import monotonic, sleep
from typing import Any
from uuid import UUID

from service.sending.accept import Draft

Post = Callable[..., UUID]


def draft(**changes: Any) -> Draft:
    fields: dict[str, Any] = {
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
    return Draft(**{**fields, **changes})


def assert_soon(condition: Callable[[], bool]) -> None:
    """Wait for a condition. Raises AssertionError after 30 s: a busy machine may stall for some."""
    deadline = monotonic() + 30
    while not condition():
        assert monotonic() < deadline, "condition not met within 30 s"
        sleep(0.005)
