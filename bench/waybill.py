"""Waybill as a candidate: the whole stack, filled with messages that are being sent."""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final, cast

from sqlalchemy import Table

from bench.callbacks import BASE_URL, SentMessage
from bench.candidates import Serving
from bench.databases import count, settle
from bench.rounds import InvalidResult
from demo.stack import SENDER, Stack, running
from service.app import create_app
from service.config.settings import Settings
from service.database import db, transaction
from service.domain.status import Status
from service.inbox.stream_names import stream_names
from service.models import Attempt, Client, Message
from service.queries.dialect import insert_all
from service.redis_client.connections import connect
from service.redis_client.url import parse_redis_url

_CLIENT: Final = 1
_BATCH: Final = 5_000
_TIMEOUT: Final = 120.0
_POLL_INTERVAL: Final = 0.05
# Identities are unique. Orphans do not count.
_RECORDED: Final = "SELECT count(*) FROM status_event WHERE message_id IS NOT NULL"


class ServingWaybill:
    """A running stack, observed through its database and its Redis."""

    def __init__(self, stack: Stack) -> None:
        self.stack = stack
        self.url = stack.url
        self.database = stack.environment["DATABASE_URL"]
        inbox = stack.environment.get("INBOX_URL") or stack.environment["REDIS_URL"]
        self.redis = connect(parse_redis_url(inbox), _TIMEOUT)
        self.streams = stream_names()[: int(stack.environment.get("INBOX_STREAMS") or 1)]

    def backlog(self) -> int:
        """Return the number of callbacks in the inbox."""
        pipe = self.redis.pipeline(transaction=False)
        for stream in self.streams:
            pipe.xlen(stream)
        return sum(pipe.execute())

    def recorded(self) -> int:
        """Return the number of distinct callbacks in the ledger, without orphans."""
        return count(self.database, _RECORDED)


class Waybill:
    """The whole stack: two web processes, the workers, beat."""

    name = "waybill"

    @contextmanager
    def serving(
        self, directory: Path, database: str, messages: Sequence[SentMessage]
    ) -> Iterator[ServingWaybill]:
        """Run the stack with one open attempt for each message."""
        with stack_on(directory, database) as stack:
            fill(stack, messages)
            settle(database)
            yield ServingWaybill(stack)


def settle_after(serving: Serving) -> None:
    """Wait until the backlog is empty. Raises InvalidResult after 120 s."""
    deadline = time.monotonic() + _TIMEOUT
    while serving.backlog():
        if time.monotonic() > deadline:
            raise InvalidResult(
                f"{serving.backlog()} callbacks not recorded after {_TIMEOUT:.0f} s"
            )
        time.sleep(_POLL_INTERVAL)


@contextmanager
def stack_on(
    directory: Path, database: str, simulator: Sequence[str] = (), **settings: str
) -> Iterator[Stack]:
    """Run the stack on a database."""
    environment = {"DATABASE_URL": database, "PUBLIC_BASE_URL": BASE_URL, **settings}
    with running(directory, simulator=simulator, environment=environment) as stack:
        yield stack


def fill(stack: Stack, messages: Sequence[SentMessage]) -> None:
    """Insert messages and attempts in the state of a call to the provider."""
    now = datetime.now(UTC)
    app = create_app(Settings.load(stack.environment))
    with app.app_context():
        with transaction():
            if db.session.scalar(db.select(Client.id)) is None:
                db.session.add(Client(id=_CLIENT, name="bench", created_at=now))
                db.session.flush()
            for first in range(0, len(messages), _BATCH):
                batch = messages[first : first + _BATCH]
                insert_all(table(Message), [_message(sent, now) for sent in batch])
                insert_all(table(Attempt), [_attempt(sent, now) for sent in batch])
        db.engine.dispose()


def _message(sent: SentMessage, now: datetime) -> dict[str, Any]:
    later = now + timedelta(days=1)  # no periodic task touches it
    return {
        "id": sent.id,
        "client_id": _CLIENT,
        "request_digest": sent.id.bytes * 2,
        "to": sent.to,
        "sender": SENDER,
        "body": "Your parcel is on its way.",
        "metadata": {},
        "resend_if_unknown": False,
        "provider": "twilio",
        "status": Status.SUBMITTING,
        "claimed_until": later,
        "check_at": later,
        "attempts": 1,
        "submitted_at": now,
        "failed_in": 0,
        "delivered_in": 0,
        "created_at": now,
        "updated_at": now,
    }


def _attempt(sent: SentMessage, now: datetime) -> dict[str, Any]:
    return {
        "id": sent.attempt,
        "message_id": sent.id,
        "number": 1,
        "provider": "twilio",
        "started_at": now,
    }


def table(model: type[Any]) -> Table:
    """Return the table of a model."""
    return cast(Table, model.__table__)
