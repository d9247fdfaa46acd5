"""The candidate that is ours: the stack of the demonstration, filled with messages underway."""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final, cast

from redis import Redis
from sqlalchemy import Table

from bench.callbacks import BASE_URL, Sent
from bench.candidates import Serving
from bench.databases import count, settle
from bench.rounds import Void
from demo.stack import SENDER, Stack, running
from service.app import create_app
from service.config.settings import Settings
from service.database import db, transaction
from service.domain.status import Status
from service.models import Attempt, Client, Message
from service.queries.dialect import insert_all

_STREAM: Final = "waybill:inbox"
_CLIENT: Final = 1
_AT_ONCE: Final = 5_000
_PATIENCE: Final = 120.0
_TICK: Final = 0.05
# Each identity once (the table's own promise), and none that found no message.
_RECORDED: Final = "SELECT count(*) FROM status_event WHERE message_id IS NOT NULL"


class ServingWaybill:
    """A stack, asked from outside: by its database and its Redis."""

    def __init__(self, stack: Stack) -> None:
        self.stack = stack
        self.url = stack.url
        self.database = stack.environment["DATABASE_URL"]
        self._redis = Redis.from_url(stack.environment["REDIS_URL"])

    def backlog(self) -> int:
        """Return how many callbacks wait in the inbox."""
        return int(self._redis.xlen(_STREAM))

    def recorded(self) -> int:
        """Return how many distinct callbacks the ledger holds, orphans left out."""
        return count(self.database, _RECORDED)


class Waybill:
    """The whole stack: two web processes, the workers, the clock."""

    name = "waybill"

    @contextmanager
    def serving(
        self, directory: Path, database: str, messages: Sequence[Sent]
    ) -> Iterator[ServingWaybill]:
        """Run the stack, with an attempt under way for each message."""
        with stack_on(directory, database) as stack:
            fill(stack, messages)
            settle(database)
            yield ServingWaybill(stack)


def settle_after(serving: Serving) -> None:
    """Wait until nothing is left to record. Raises Void when that takes too long."""
    until = time.monotonic() + _PATIENCE
    while serving.backlog():
        if time.monotonic() > until:
            raise Void(f"{serving.backlog()} callbacks still wait after {_PATIENCE:.0f} s")
        time.sleep(_TICK)


@contextmanager
def stack_on(
    directory: Path, database: str, simulator: Sequence[str] = (), **settings: str
) -> Iterator[Stack]:
    """Run the stack on a database."""
    environment = {"DATABASE_URL": database, "PUBLIC_BASE_URL": BASE_URL, **settings}
    with running(directory, simulator=simulator, environment=environment) as stack:
        yield stack


def fill(stack: Stack, messages: Sequence[Sent]) -> None:
    """Write messages and their attempts as a send worker leaves them while it calls."""
    now = datetime.now(UTC)
    app = create_app(Settings.load(stack.environment))
    with app.app_context():
        with transaction():
            if db.session.scalar(db.select(Client.id)) is None:
                db.session.add(Client(id=_CLIENT, name="bench", created_at=now))
                db.session.flush()
            for first in range(0, len(messages), _AT_ONCE):
                some = messages[first : first + _AT_ONCE]
                insert_all(_table(Message), [_message(one, now) for one in some])
                insert_all(_table(Attempt), [_attempt(one, now) for one in some])
        db.engine.dispose()


def _message(sent: Sent, now: datetime) -> dict[str, Any]:
    later = now + timedelta(days=1)  # no sweep has anything to do with it
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


def _attempt(sent: Sent, now: datetime) -> dict[str, Any]:
    return {
        "id": sent.attempt,
        "message_id": sent.id,
        "number": 1,
        "provider": "twilio",
        "started_at": now,
    }


def _table(model: type[Any]) -> Table:
    return cast(Table, model.__table__)
