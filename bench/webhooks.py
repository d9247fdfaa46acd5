"""Measures the deliveries of one webhook worker to receivers that answer in 50 ms."""

import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any, Final, NamedTuple
from uuid import UUID

import requests
from uuid_utils.compat import uuid7

from bench import callbacks, cpu
from bench.databases import Databases, count, settle
from bench.processes import await_port, process
from bench.rounds import InvalidResult, scratch
from bench.waybill import fill, stack_on, table
from demo.servers import free_port
from demo.stack import Stack
from service.app import create_app
from service.config.settings import Settings
from service.database import db, transaction
from service.domain.status import Status
from service.models import Client, Event, WebhookDelivery
from service.queries.dialect import insert_all
from service.webhooks.endpoints import create

_EACH: Final = 16  # endpoints of a client at most
_SOON: Final = timedelta(seconds=3)
_TIMEOUT: Final = 120.0
_POLL_INTERVAL: Final = 0.1
_DUE: Final = "SELECT count(*) FROM webhook_delivery WHERE due_at IS NOT NULL"
_DELIVERED: Final = "SELECT count(*) FROM webhook_delivery WHERE delivered_at IS NOT NULL"
SETTINGS: Final = {"WEBHOOK_ALLOW_HTTP": "true", "WEBHOOK_NETWORKS": "127.0.0.0/8"}


class Rate(NamedTuple):
    """Result of one round."""

    per_second: float
    worker_ms: float  # CPU time of one delivery
    postgresql_ms: float


def delivery_rates(
    databases: Databases, endpoints: int, deliveries: int, rounds: int
) -> Iterator[Rate]:
    """Yield the result of each round. Raises InvalidResult when the counts differ."""
    with ExitStack() as resources:
        directory = resources.enter_context(scratch())
        database = resources.enter_context(databases.fresh())
        url = resources.enter_context(_receivers())
        stack = resources.enter_context(stack_on(directory, database, **SETTINGS))
        app = create_app(Settings.load(stack.environment))
        resources.enter_context(app.app_context())
        ids = _subscribe(url, endpoints)
        # The first round is not measured: the worker connects and prepares statements.
        for number, size in enumerate((deliveries // 5, *[deliveries] * rounds)):
            _owe(stack, ids, size)
            rate = _deliver(stack, databases, url, size)
            if number:
                yield rate


@contextmanager
def _receivers() -> Iterator[str]:
    port = free_port()
    with scratch() as directory:
        log = directory / "receivers.log"
        with process([sys.executable, "-m", "bench.receivers", str(port)], {}, log):
            await_port(port, log)
            yield f"http://127.0.0.1:{port}"


def _subscribe(url: str, endpoints: int) -> list[UUID]:
    """Create endpoints, of as many clients as they need; return their ids."""
    ids = list[UUID]()
    for number in range(endpoints):
        client_id = 1 + number // _EACH
        if number % _EACH == 0:
            with transaction():
                client = Client(id=client_id, name=f"bench-{client_id}")
                client.created_at = datetime.now(UTC)
                db.session.add(client)
        new = {
            "url": f"{url}/{number}",
            "description": None,
            "types": ["message.updated"],
            "statuses": ["delivered"],
            "include_body": False,
        }
        endpoint, _ = create(client_id, new)
        ids.append(endpoint.id)
    return ids


def _owe(stack: Stack, endpoints: Sequence[UUID], deliveries: int) -> None:
    """Add an event for each delivery, of different messages; all are due in a moment."""
    messages = callbacks.make_messages(deliveries)
    fill(stack, messages)
    first = count(stack.environment["DATABASE_URL"], "SELECT coalesce(max(id), 0) FROM event") + 1
    now = datetime.now(UTC)
    with transaction():
        insert_all(table(Event), [_event(sent.id, now) for sent in messages])
        owed = [
            _delivery(endpoints[number % len(endpoints)], first + number, sent.id, now)
            for number, sent in enumerate(messages)
        ]
        insert_all(table(WebhookDelivery), owed)
    settle(stack.environment["DATABASE_URL"])
    with transaction():
        db.session.execute(
            db.update(WebhookDelivery)
            .where(WebhookDelivery.due_at > now)
            .values(due_at=datetime.now(UTC) + _SOON)
        )


def _deliver(stack: Stack, databases: Databases, url: str, deliveries: int) -> Rate:
    """Wait until everything is delivered; return the rate from the first to the last arrival."""
    database = stack.environment["DATABASE_URL"]
    before = count(database, _DELIVERED)
    processes = (stack.pid("worker-webhooks"), databases.server.get_pid())
    started = [*map(cpu.seconds, processes)]
    deadline = time.monotonic() + _TIMEOUT
    while count(database, _DUE):
        if time.monotonic() > deadline:
            raise InvalidResult(f"{count(database, _DUE)} webhooks not delivered")
        time.sleep(_POLL_INTERVAL)
    worker, postgresql = (
        1000 * (cpu.seconds(pid) - start) / deliveries
        for pid, start in zip(processes, started, strict=True)
    )
    arrived = requests.get(f"{url}/{before}", timeout=10).json()
    delivered = count(database, _DELIVERED) - before
    if not arrived["count"] == delivered == deliveries:
        counts = f"{arrived['count']} arrived, {delivered} recorded as delivered"
        raise InvalidResult(f"{deliveries} webhooks owed, {counts}")
    return Rate(deliveries / (arrived["last"] - arrived["first"]), worker, postgresql)


def _event(message_id: UUID, now: datetime) -> dict[str, Any]:
    return {
        "transaction_id": 0,
        "client_id": 1,
        "type": "message.updated",
        "message_id": message_id,
        "status": Status.DELIVERED,
        "version": 2,
        "created_at": now,
    }


def _delivery(endpoint: UUID, event_id: int, message_id: UUID, now: datetime) -> dict[str, Any]:
    return {
        "id": uuid7(),
        "endpoint_id": endpoint,
        "event_id": event_id,
        "message_id": message_id,
        "created_at": now,
        "due_at": now + timedelta(hours=1),
        "attempts": 0,
    }
