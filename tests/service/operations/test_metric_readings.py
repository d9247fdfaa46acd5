"""What waits: true figures while the stores answer, and an answer in time when they do not."""

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

from demo.servers import free_port, redis_server
from service.app import create_app
from service.components import components
from service.database import db, transaction
from service.domain.status import Status
from service.models import Message
from service.operations import metric_readings as module
from service.operations.metric_readings import Readings
from service.providers.base import Callback
from service.queries import backlog as store
from service.queries import callbacks
from service.task_queue.queue import DELIVER, MAINTENANCE, SEND, STATUS
from tests.conftest import make_settings
from tests.counted import settled
from tests.messages import Post

BODY = b"MessageSid=SM1&MessageStatus=sent"
MINUTE = timedelta(minutes=1)


def read(app: Flask) -> dict[tuple[str, str], float]:
    """Read the stores of an application anew; every gauge by name and label."""
    readings = Readings(app.extensions["waybill"])
    return shown(waited_for(readings))


def waited_for(readings: Readings) -> Readings:
    """Wait for what a scrape would not wait for on a busy machine."""
    for one in readings._stores:
        one.refresh()
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


def test_an_empty_service_waits_for_nothing(app: Flask) -> None:
    found = read(app)
    ages = {key for key in found if key[0] == "waybill_store_reading_age_seconds"}

    assert found["waybill_store_up", "database"] == found["waybill_store_up", "redis"] == 1
    assert {name for name, _ in found} == {gauge.name for gauge in module.GAUGES}
    ups = {key for key in found if key[0] == "waybill_store_up"}
    assert {found[key] for key in set(found) - ages - ups} == {0}


def test_due_messages_are_counted_with_the_oldest_age(app: Flask, post: Post) -> None:
    now = datetime.now(UTC)
    for due_at in (now - 2 * MINUTE, now - MINUTE, now + MINUTE):  # the last was put back
        moved(post(), due_at=due_at)
    found = read(app)

    assert found["waybill_messages_due", ""] == 2
    assert 119 < found["waybill_messages_due_oldest_age_seconds", ""] < 180


def test_messages_in_doubt_are_told_apart_by_what_they_wait_for(app: Flask, post: Post) -> None:
    for check_at in (datetime.now(UTC), datetime.now(UTC), None):
        moved(post(), status=Status.IN_DOUBT, check_at=check_at)
    found = read(app)

    assert found["waybill_messages_in_doubt", "answer"] == 2
    assert found["waybill_messages_in_doubt", "person"] == 1


def test_a_claim_is_overdue_when_its_worker_died_and_no_sweep_came(app: Flask, post: Post) -> None:
    now = datetime.now(UTC)
    moved(post(), status=Status.SUBMITTING, claimed_until=now - MINUTE)
    moved(post(), status=Status.SUBMITTING, claimed_until=now + MINUTE)

    assert read(app)["waybill_claims_overdue", ""] == 1


def test_callbacks_outside_the_inbox_are_counted_and_their_age_told(context: Flask) -> None:
    with transaction():
        for age in (MINUTE, MINUTE / 2):
            callbacks.add_overflow(callback(age))
        callbacks.add_dead_letter(callback(), "poison", datetime.now(UTC))
    found = read(context)

    assert found["waybill_overflow_entries", ""] == 2
    assert 59 < found["waybill_overflow_oldest_age_seconds", ""] < 70
    assert found["waybill_dead_letters_waiting", ""] == 1


def test_nobody_counts_further_than_needed(context: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store, "COUNT_LIMIT", 2)
    with transaction():
        for _ in range(3):
            callbacks.add_overflow(callback())

    assert read(context)["waybill_overflow_entries", ""] == 2


def test_the_inbox_tells_how_much_waits_and_for_how_long(context: Flask) -> None:
    inbox = components().inbox
    inbox.put(callback())
    time.sleep(0.2)
    inbox.put(callback())
    found = read(context)

    assert found["waybill_inbox_entries", ""] == 2
    assert 0.2 <= found["waybill_inbox_oldest_age_seconds", ""] < 5


def test_a_queue_tells_how_much_waits_and_for_how_long(context: Flask) -> None:
    queue = components().queue
    queue.enqueue(DELIVER), queue.enqueue(DELIVER)
    time.sleep(0.2)
    queue.enqueue(DELIVER)
    found = read(context)

    assert found["waybill_queue_tasks", SEND] == 3
    assert 0.2 <= found["waybill_queue_oldest_age_seconds", SEND] < 5
    assert found["waybill_queue_tasks", STATUS] == 0
    assert found["waybill_queue_oldest_age_seconds", STATUS] == 0


@pytest.mark.parametrize("task", [b"no task", b"[]", json.dumps({"headers": {}}).encode()])
def test_a_task_that_does_not_tell_when_it_came_is_of_no_age(
    context: Flask, redis_url: str, task: bytes
) -> None:
    with Redis.from_url(redis_url) as redis:
        redis.lpush(MAINTENANCE, task)

    assert components().queue.waiting(MAINTENANCE) == (1, 0.0)


def test_replicas_and_the_queues_they_read_are_counted(context: Flask) -> None:
    presence = components().heartbeats
    presence.announce("worker", "a", [STATUS, MAINTENANCE])
    presence.announce("worker", "b", [STATUS])
    presence.announce("beat", "c", [])
    found = read(context)

    assert found["waybill_replicas_alive", "worker"] == 2
    assert found["waybill_replicas_alive", "beat"] == 1
    assert found["waybill_replicas_alive", "web"] == 0
    assert found["waybill_queue_workers_alive", STATUS] == 2
    assert found["waybill_queue_workers_alive", MAINTENANCE] == 1
    assert found["waybill_queue_workers_alive", SEND] == 0


# When a store is away


@pytest.fixture
def cut_off() -> Iterator[Flask]:
    """An application with neither database nor Redis."""
    app = create_app(
        make_settings(
            f"postgresql://somebody@127.0.0.1:{free_port()}/waybill",
            f"redis://127.0.0.1:{free_port()}/0",
        )
    )
    yield app
    with app.app_context():
        db.engine.dispose()


def test_without_its_stores_it_says_so_and_nothing_else(cut_off: Flask) -> None:
    assert read(cut_off) == {
        ("waybill_store_up", "database"): 0,
        ("waybill_store_up", "redis"): 0,
    }


def test_a_store_that_hangs_holds_no_scrape(app: Flask, tmp_path: Path, database_url: str) -> None:
    with redis_server(tmp_path) as server:
        hanging = create_app(make_settings(database_url, server.url))
        readings = Readings(hanging.extensions["waybill"])
        assert shown(waited_for(readings))["waybill_inbox_entries", ""] == 0
        server.freeze()
        for one in readings._stores:
            one._begun -= module.FRESH

        began = time.monotonic()
        found = shown(readings)
        assert time.monotonic() - began < 0.3
        assert found["waybill_inbox_entries", ""] == 0, "as it was"
        assert found["waybill_store_reading_age_seconds", "redis"] > 0.1
        server.thaw()
        settled(readings)
    with hanging.app_context():
        db.engine.dispose()


def test_readings_that_are_old_are_not_shown(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    readings = Readings(app.extensions["waybill"])
    assert ("waybill_inbox_entries", "") in shown(waited_for(readings))
    monkeypatch.setattr(module, "STALE", 0.0)

    assert {name for name, _ in shown(readings)} == {"waybill_store_up"}


def test_many_scrapes_cost_the_stores_one_reading(
    app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []
    readings = Readings(app.extensions["waybill"])
    monkeypatch.setattr(
        readings._stores[0], "_read", lambda: asked.append(1) or iter([]), raising=True
    )
    for _ in range(20):
        shown(readings)

    assert asked == [1]
