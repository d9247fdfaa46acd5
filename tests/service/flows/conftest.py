"""Messages in the states that flows start from."""

from collections.abc import Callable
from typing import Any
from uuid import UUID

import pytest
from flask import Flask

from service.extensions import db
from service.flows.accepting import Draft, accept
from service.models import Client
from tests.strategies import EPOCH

Post = Callable[..., UUID]


@pytest.fixture
def client_id(context: Flask) -> int:
    client = Client(name="billing", created_at=EPOCH)
    db.session.add(client)
    db.session.commit()
    return client.id


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


@pytest.fixture
def post(client_id: int) -> Post:
    """Accept a message; return its id."""

    def posted(**changes: Any) -> UUID:
        [accepted] = accept(client_id, [draft(**changes)])
        return accepted.message.id

    return posted
