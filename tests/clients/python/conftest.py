"""The servers that keep one contract: FakeWaybill, and the application with a fake provider."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol
from uuid import UUID

import httpx
import pytest
from flask import Flask
from sqlalchemy import select

from service.database import db
from service.event_feed import cursor
from service.inbound import record as inbound
from service.models import Attempt
from service.recording import record
from service.sending import deliver
from service.webhooks import deliver as webhooks
from tests.fakes import said
from tests.service.inbound.conversation import heard
from tests.service.webhooks.conftest import allowed, endpoint  # noqa: F401 - fixtures
from tests.service.webhooks.receiver import Receiver
from waybill_client import Event, Waybill, verify
from waybill_client.fake import FakeWaybill


class Server(Protocol):
    """A Waybill whose provider does what the test says."""

    endpoint_url: str

    def client(self, **options: Any) -> Waybill: ...

    def deliver(self, message_id: str) -> Any: ...

    def fail(self, message_id: str, code: str) -> Any: ...

    def receive(self, body: str, from_: str) -> Any: ...

    def make_pool(self, name: str, sender: str) -> None: ...

    def expired_cursor(self) -> str: ...

    def make_deliveries(self) -> None: ...

    def received(self, secret: str) -> list[Event]:
        """Return the webhooks that arrived, in order."""


class Fake(FakeWaybill):
    """FakeWaybill as it is, with the requests that it would have made."""

    endpoint_url = "https://orders.example.com/hook"

    def make_pool(self, name: str, sender: str) -> None:
        """Do nothing: the fake accepts every pool."""

    def expired_cursor(self) -> str:
        self.forget_events()
        return "0"

    def make_deliveries(self) -> None:
        """Do nothing: the fake has made them."""

    def received(self, secret: str) -> list[Event]:
        return [verify(request.headers, request.body, secret) for request in self.webhooks]


class Real:
    """The application, without a network."""

    def __init__(self, app: Flask, key: str, receiver: Receiver) -> None:
        self.endpoint_url = receiver.url
        self._app, self._key, self._receiver = app, key, receiver

    def client(self, **options: Any) -> Waybill:
        transport = httpx.WSGITransport(app=self._app)
        defaults = {"url": "http://waybill.test", "api_key": self._key, "transport": transport}
        return Waybill(**{**defaults, **options})

    def deliver(self, message_id: str) -> None:
        self._report("delivered", message_id)

    def fail(self, message_id: str, code: str) -> None:
        self._report("failed", message_id, error_code=code)

    def receive(self, body: str, from_: str) -> None:
        inbound.record([heard(body, From=from_)])

    def make_pool(self, name: str, sender: str) -> None:
        arguments = ["clients", "senders", "add", "billing", sender, "--pool", name]
        assert self._app.test_cli_runner().invoke(args=arguments).exit_code == 0

    def expired_cursor(self) -> str:
        """Return a cursor that is older than the events that are kept."""
        now = datetime.now(UTC)
        feed = cursor.current_feed()
        return cursor.encode(cursor.Cursor(feed, (0, 0), now - timedelta(days=365)))

    def make_deliveries(self) -> None:
        webhooks.deliver()

    def received(self, secret: str) -> list[Event]:
        webhooks.deliver()
        requests = self._receiver.received
        return [verify(request.headers, request.body, secret) for request in requests]

    def _report(self, word: str, message_id: str, **fields: Any) -> None:
        deliver.deliver()
        attempt = select(Attempt.id).where(Attempt.message_id == UUID(message_id))
        attempt_id = db.session.scalars(attempt.order_by(Attempt.id.desc())).first()
        record.record([said(word, attempt_id=attempt_id, **fields)])


@pytest.fixture(params=["fake", "real"])
def server(request: pytest.FixtureRequest, database_url: str) -> Iterator[Server]:
    """Each of the two."""
    if request.param == "fake":
        yield Fake()
        return
    request.getfixturevalue("allowed")
    app, key, receiver = map(request.getfixturevalue, ("app", "key", "endpoint"))
    yield Real(app, key, receiver)


@pytest.fixture
def waybill(server: Server) -> Waybill:
    """A client of that server."""
    return server.client()
