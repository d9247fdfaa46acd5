"""Gauges of the stores: their values, and scrapes in time while a store is unavailable."""

import json
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from flask import Flask
from redis import Redis
from sqlalchemy import text

from demo.servers import free_port, redis_server
from service.app import create_app
from service.components import components
from service.database import db, transaction
from service.domain.status import Status
from service.models import Event, Message
from service.operations import holds
from service.operations import metric_readings as module
from service.operations.gauges import REPLICA_LAG
from service.operations.metric_readings import Readings
from service.providers.base import Callback
from service.queries import backlog, callbacks, ledger
from service.queries.dialect import is_postgresql
from service.sending import deliver
from service.task_queue.queue import DELIVER, MAINTENANCE, SEND, STATUS
from service.webhooks.owe import owe
from tests.conftest import make_settings
from tests.counted import settled
from tests.messages import Post
from tests.service.webhooks.owed import add_endpoints, let_pass, owe_tests

BODY = b"MessageSid=SM1&MessageStatus=sent"
MINUTE = timedelta(minutes=1)


def read(app: Flask) -> dict[tuple[str, str], float]:
    """Read the stores of an application; return every gauge by name and label."""
    readings = Readings(app.extensions["waybill"])
    return shown(refreshed(readings))


def refreshed(readings: Readings) -> Readings:
    """Read the stores and wait longer than a scrape does."""
    for store in readings._stores.values():
        store.start()
    return settled(readings)


def shown(readings: Readings) -> dict[tuple[str, str], float]:
    return {
        (sample.name, "".join(sample.labels.values())): sample.value
        for family in readings.collect()
        for sample in family.samples
    }


def callback(age: timedelta = timedelta(0)) -> Callback:
    return Callback("twilio", "", BODY, datetime.now(UTC) - age)


def moved(message_id: UUID, **columns: Any) -> None:
    with transaction():
        db.session.execute(db.update(Message).where(Message.id == message_id).values(columns))


def test_gauges_of_an_empty_service_are_zero(app: Flask) -> None:
    gauges = read(app)
    ages = {key for key in gauges if key[0] == "waybill_store_reading_age_seconds"}

    assert gauges["waybill_store_up", "database"] == gauges["waybill_store_up", "redis"] == 1
    without_replica = set(module.GAUGES) - {REPLICA_LAG}
    assert {name for name, _ in gauges} == {gauge.name for gauge in without_replica}
    ups = {key for key in gauges if key[0] == "waybill_store_up"}
    assert {gauges[key] for key in set(gauges) - ages - ups} == {0}


def test_due_messages_are_counted_with_the_oldest_age(app: Flask, post: Post) -> None:
    now = datetime.now(UTC)
    for due_at in (now - 2 * MINUTE, now - MINUTE, now + MINUTE):
        moved(post(), due_at=due_at)
    gauges = read(app)

    assert gauges["waybill_messages_due", ""] == 2
    assert 119 < gauges["waybill_messages_due_oldest_age_seconds", ""] < 180


def test_messages_in_doubt_are_counted_by_what_they_need(app: Flask, post: Post) -> None:
    for check_at in (datetime.now(UTC), datetime.now(UTC), None):
        moved(post(), status=Status.IN_DOUBT, check_at=check_at)
    gauges = read(app)

    assert gauges["waybill_messages_in_doubt", "answer"] == 2
    assert gauges["waybill_messages_in_doubt", "person"] == 1


def test_expired_claims_are_counted_as_overdue(app: Flask, post: Post) -> None:
    now = datetime.now(UTC)
    moved(post(), status=Status.SUBMITTING, claimed_until=now - MINUTE)
    moved(post(), status=Status.SUBMITTING, claimed_until=now + MINUTE)

    assert read(app)["waybill_claims_overdue", ""] == 1


def test_overflow_and_dead_letters_are_counted(context: Flask) -> None:
    with transaction():
        for age in (MINUTE, MINUTE / 2):
            callbacks.add_overflow(callback(age))
        callbacks.add_dead_letter(callback(), "poison", datetime.now(UTC))
    gauges = read(context)

    assert gauges["waybill_overflow_entries", ""] == 2
    assert 59 < gauges["waybill_overflow_oldest_age_seconds", ""] < 70
    assert gauges["waybill_dead_letters_waiting", ""] == 1


@pytest.mark.usefixtures("events_told")
def test_delay_of_the_event_feed_is_that_of_hidden_events(app: Flask, post: Post) -> None:
    message_id = post()
    if not is_postgresql():
        pytest.skip("SQLite runs one write transaction at a time")
    with db.engine.connect() as elsewhere:
        elsewhere.execute(text("SELECT pg_current_xact_id()"))
        with transaction():
            owe(ledger.lock_outcomes([message_id]))
            db.session.execute(db.update(Event).values(created_at=datetime.now(UTC) - MINUTE))
        assert 59 < read(app)["waybill_event_feed_delay_seconds", ""] < 70
        elsewhere.rollback()
    assert read(app)["waybill_event_feed_delay_seconds", ""] == 0


def test_webhooks_are_counted_by_the_state_of_their_endpoint(client_id: int, app: Flask) -> None:
    now = datetime.now(UTC)
    states: dict[str, dict[str, Any]] = {
        "working": {},
        "failing": {"failing_since": now},
        "disabled": {"disabled_at": now},
    }
    for number, (_, fields) in enumerate(states.items(), start=1):
        for endpoint_id in add_endpoints(
            client_id, ["https://hooks.example.com"] * number, **fields
        ):
            owe_tests(client_id, endpoint_id)
    add_endpoints(client_id, ["https://hooks.example.com"], deleted_at=now)
    let_pass(60)
    gauges = read(app)

    for number, state in enumerate(states, start=1):
        assert gauges["waybill_webhook_endpoints", state] == number
        age = gauges["waybill_webhook_deliveries_due_oldest_age_seconds", state]
        assert 59 < age < 90
    assert gauges["waybill_webhook_deliveries_owed", ""] == 6


def test_counts_of_rows_are_limited(context: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backlog, "COUNT_LIMIT", 2)
    with transaction():
        for _ in range(3):
            callbacks.add_overflow(callback())

    assert read(context)["waybill_overflow_entries", ""] == 2


def test_inbox_has_its_size_and_oldest_age(context: Flask) -> None:
    inbox = components().inbox
    inbox.put(callback())
    time.sleep(0.2)
    inbox.put(callback())
    gauges = read(context)

    assert gauges["waybill_inbox_entries", ""] == 2
    assert 0.2 <= gauges["waybill_inbox_oldest_age_seconds", ""] < 5


def test_queue_has_its_size_and_oldest_age(context: Flask) -> None:
    queue = components().queue
    queue.enqueue(DELIVER), queue.enqueue(DELIVER)
    time.sleep(0.2)
    queue.enqueue(DELIVER)
    gauges = read(context)

    assert gauges["waybill_queue_tasks", SEND] == 3
    assert 0.2 <= gauges["waybill_queue_oldest_age_seconds", SEND] < 5
    assert gauges["waybill_queue_tasks", STATUS] == 0
    assert gauges["waybill_queue_oldest_age_seconds", STATUS] == 0


@pytest.mark.parametrize("task", [b"no task", b"[]", json.dumps({"headers": {}}).encode()])
def test_task_without_a_time_has_age_zero(context: Flask, redis_url: str, task: bytes) -> None:
    with Redis.from_url(redis_url) as redis:
        redis.lpush(MAINTENANCE, task)

    assert components().queue.waiting(MAINTENANCE) == (1, 0.0)


def test_replicas_and_readers_of_queues_are_counted(context: Flask) -> None:
    heartbeats = components().heartbeats
    heartbeats.send("worker", "a", [STATUS, MAINTENANCE])
    heartbeats.send("worker", "b", [STATUS])
    heartbeats.send("beat", "c", [])
    gauges = read(context)

    assert gauges["waybill_replicas_alive", "worker"] == 2
    assert gauges["waybill_replicas_alive", "beat"] == 1
    assert gauges["waybill_replicas_alive", "web"] == 0
    assert gauges["waybill_queue_workers_alive", STATUS] == 2
    assert gauges["waybill_queue_workers_alive", MAINTENANCE] == 1
    assert gauges["waybill_queue_workers_alive", SEND] == 0


# Unavailable stores


@pytest.fixture
def without_stores() -> Iterator[Flask]:
    """An application without a database and Redis."""
    app = create_app(
        make_settings(
            f"postgresql://somebody@127.0.0.1:{free_port()}/waybill",
            f"redis://127.0.0.1:{free_port()}/0",
        )
    )
    yield app
    with app.app_context():
        db.engine.dispose()


def test_without_stores_only_waybill_store_up_is_shown(without_stores: Flask) -> None:
    assert read(without_stores) == {
        ("waybill_store_up", "database"): 0,
        ("waybill_store_up", "redis"): 0,
    }


def test_lost_broker_hides_no_gauge_of_redis(app: Flask, database_url: str, redis_url: str) -> None:
    broker = f"amqp://127.0.0.1:{free_port()}"
    bound = create_app(make_settings(database_url, redis_url, BROKER_URL=broker))
    gauges = read(bound)
    with bound.app_context():
        db.engine.dispose()

    assert gauges["waybill_store_up", "broker"] == 0
    assert gauges["waybill_store_up", "redis"] == 1
    assert gauges["waybill_inbox_entries", ""] == 0
    assert ("waybill_queue_tasks", SEND) not in gauges


def test_scrape_does_not_wait_for_a_frozen_store(
    app: Flask, tmp_path: Path, database_url: str
) -> None:
    with redis_server(tmp_path) as server:
        hanging = create_app(make_settings(database_url, server.url))
        readings = Readings(hanging.extensions["waybill"])
        assert shown(refreshed(readings))["waybill_inbox_entries", ""] == 0
        server.freeze()
        for store in readings._stores.values():
            store.began_at -= module.READ_INTERVAL

        began = time.monotonic()
        gauges = shown(readings)
        assert time.monotonic() - began < 0.3
        assert gauges["waybill_inbox_entries", ""] == 0, "the last reading"
        assert gauges["waybill_store_reading_age_seconds", "redis"] > 0.1
        server.thaw()
        settled(readings)
    with hanging.app_context():
        db.engine.dispose()


def test_old_readings_are_not_shown(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    readings = Readings(app.extensions["waybill"])
    assert ("waybill_inbox_entries", "") in shown(refreshed(readings))
    monkeypatch.setattr(module, "MAX_AGE", 0.0)

    assert {name for name, _ in shown(readings)} == {"waybill_store_up"}


def test_many_scrapes_read_the_stores_once(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    reads = []
    readings = Readings(app.extensions["waybill"])
    monkeypatch.setattr(
        readings._stores["database"], "_read", lambda: reads.append(1) or [], raising=True
    )
    for _ in range(20):
        shown(readings)

    assert reads == [1]


def test_holds_and_the_messages_that_wait_are_counted(context: Flask, post: Post) -> None:
    holds.pause("provider", "twilio", "", "ada")
    holds.pause("client", "payments", "", "ada")
    for _ in range(3):
        post()
    deliver.deliver()
    gauges = read(context)
    assert gauges["waybill_held_messages", ""] == 3
    assert gauges["waybill_holds", "pausedprovidertwilio"] == 1
    assert gauges["waybill_holds", "pausedclientany"] == 1
    assert gauges["waybill_holds", "blockedaccounttwilio"] == 0
    holds.resume("client", "payments", "ada")
    assert ("waybill_holds", "pausedclientany") not in read(context)
