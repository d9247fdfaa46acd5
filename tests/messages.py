"""Drafts as a test needs them."""

from collections.abc import Callable
from typing import Any
from uuid import UUID

from service.flows.accepting import Draft

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
