"""Blocks of accounts and senders: which messages wait, which probe, and what ends the blocks."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from threading import Barrier
from uuid import uuid4

import pytest
from flask import Flask
from sqlalchemy import select, update

from service.database import db, transaction
from service.domain.scope import HoldKind, Scope
from service.domain.status import Status
from service.errors import Blocked, NotAccepted, OutcomeUnknown
from service.holds import blocks
from service.holds.key import Key
from service.models import Hold, Message
from service.queries import holds as queries
from service.sending import claim, deliver
from tests.fakes import FakeProvider
from tests.messages import Post
from tests.service.holds.conftest import Fail, holds, message, probe_now

ACCOUNT = Key(Scope.ACCOUNT, "twilio", "default")
SUSPENDED = Blocked("suspended", "20005")
BAD_SENDER = Blocked("bad sender", "21606", scope=Scope.SENDER)


def in_threads(app: Flask, count: int, work: Callable[[], object]) -> list[object]:
    """Run the same work in several threads, each with its connection, as several processes do."""
    start = Barrier(count)

    def run(_: int) -> object:
        with app.app_context():
            start.wait()
            return work()

    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(run, range(count)))


def take_probe() -> bool:
    with transaction():
        loaded = queries.unreleased()
        return blocks.take_probes(loaded, datetime.now(UTC))


def open_block() -> bool:
    with transaction():
        return blocks.block(ACCOUNT, "20005", uuid4(), datetime.now(UTC))


def end_all() -> int:
    with transaction():
        return blocks.end([hold.id for hold in queries.unreleased()], datetime.now(UTC))


def test_blocked_account_holds_all_its_messages(
    post: Post, fail: Fail, provider: FakeProvider
) -> None:
    fail(SUSPENDED)
    ids = [post() for _ in range(5)]
    deliver.deliver()
    assert {message(message_id).status for message_id in ids} == {Status.PENDING}
    [hold] = holds()
    assert (hold.kind, hold.code, hold.reason) == (HoldKind.BLOCKED, "20005", "Explained: 20005.")
    assert {message(message_id).hold_id for message_id in ids} == {hold.id}
    assert {message(message_id).attempts for message_id in ids} == {0}


def test_each_probe_is_one_message(post: Post, fail: Fail) -> None:
    fail(SUSPENDED)
    for _ in range(3):
        post()
    deliver.deliver()
    for probes in range(1, 4):
        probe_now()
        deliver.deliver()
        [hold] = holds()
        assert hold.probes == probes


def test_pauses_between_probes_double_to_five_minutes(
    context: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(blocks, "_FIRST_PROBE", 1.0)
    open_block()
    pauses = []
    for _ in range(10):
        [hold] = holds()
        due_at = hold.probe_at
        assert due_at is not None
        with transaction():
            [hold] = queries.unreleased()
            assert blocks.take_probe(hold, due_at)
        [hold] = holds()
        assert hold.probe_at is not None
        pauses.append((hold.probe_at - due_at).total_seconds())
    assert pauses == [2, 4, 8, 16, 32, 64, 128, 256, 300, 300]


def test_accepted_probe_releases_every_message(
    post: Post, fail: Fail, provider: FakeProvider
) -> None:
    fail(SUSPENDED)
    ids = [post() for _ in range(5)]
    deliver.deliver()
    fail(None)
    deliver.deliver()
    assert provider.on_air == []  # the probe is not due yet
    probe_now()
    deliver.deliver()
    deliver.deliver()
    assert {message(message_id).status for message_id in ids} == {Status.QUEUED}
    [hold] = holds()
    assert hold.ended_at is not None
    assert hold.released_at is not None


def test_probe_without_an_answer_keeps_the_block(
    post: Post, fail: Fail, provider: FakeProvider
) -> None:
    fail(SUSPENDED)
    ids = [post() for _ in range(3)]
    deliver.deliver()
    fail(OutcomeUnknown("no answer"))
    probe_now()
    deliver.deliver()
    statuses = [message(message_id).status for message_id in ids]
    assert sorted(statuses) == [Status.IN_DOUBT, Status.PENDING, Status.PENDING]
    assert [hold.ended_at for hold in holds()] == [None]


def test_worker_that_dies_with_the_probe_delays_the_next(
    post: Post, fail: Fail, provider: FakeProvider
) -> None:
    fail(SUSPENDED)
    ids = [post() for _ in range(3)]
    deliver.deliver()
    probe_now()
    assert len(claim.claim(10)) == 1  # and no call is made
    assert claim.claim(10) == []
    fail(None)
    probe_now()
    deliver.deliver()
    deliver.deliver()
    statuses = [message(message_id).status for message_id in ids]
    assert sorted(statuses) == [Status.QUEUED, Status.QUEUED, Status.SUBMITTING]


def test_parked_message_expires_on_time(post: Post, fail: Fail) -> None:
    fail(SUSPENDED)
    message_id = post()
    deliver.deliver()
    parked = message(message_id)
    assert parked.hold_id is not None
    assert parked.due_at == parked.expires_at
    with transaction():
        past = datetime.now(UTC) - timedelta(seconds=1)
        db.session.execute(update(Message).values(expires_at=past, due_at=past))
    deliver.deliver()
    assert message(message_id).status is Status.EXPIRED
    assert message(message_id).hold_id is None


def test_sender_is_blocked_after_three_messages(post: Post, fail: Fail) -> None:
    fail(BAD_SENDER)
    for number in range(2):
        post(to=f"+1415555267{number}")
    deliver.deliver()
    assert [hold.kind for hold in holds()] == [HoldKind.SUSPECTED]
    post(to="+14155552679")
    deliver.deliver()
    [hold] = holds()
    assert (hold.kind, hold.value) == (HoldKind.BLOCKED, "+15005550006")


def test_account_that_accepts_again_leaves_no_row(post: Post, fail: Fail) -> None:
    fail(NotAccepted("too many", "20429"))
    message_id = post()
    deliver.deliver()
    assert [hold.kind for hold in holds()] == [HoldKind.NOT_ACCEPTING]
    fail(None)
    with transaction():
        db.session.execute(update(Message).values(due_at=datetime.now(UTC)))
    deliver.deliver()
    assert message(message_id).status is Status.QUEUED
    assert holds() == []


def test_several_processes_take_one_probe(context: Flask) -> None:
    open_block()
    probe_now()
    loaded = Barrier(6)

    def load_then_take() -> bool:
        active = queries.unreleased()
        db.session.expunge_all()
        db.session.rollback()
        loaded.wait()  # all have read that the probe is due
        with transaction():
            return blocks.take_probes(active, datetime.now(UTC))

    taken = in_threads(context, 6, load_then_take)
    assert sorted(map(bool, taken)) == [False] * 5 + [True]
    [hold] = holds()
    assert hold.probes == 1
    assert hold.probe_at is not None
    assert hold.probe_at > datetime.now(UTC)


def test_several_processes_open_one_block(context: Flask) -> None:
    assert in_threads(context, 6, open_block) == [True] * 6
    assert len(holds()) == 1


def test_several_processes_end_a_block_once(context: Flask) -> None:
    open_block()
    assert sorted(in_threads(context, 6, end_all)) == [0] * 5 + [1]  # type: ignore[type-var]


def test_probe_is_not_taken_while_another_hold_stops(context: Flask) -> None:
    open_block()
    with transaction():
        key = Key(Scope.PROVIDER, "twilio")
        queries.open_hold(key, HoldKind.PAUSED, None, "", datetime.now(UTC))
    probe_now()
    assert take_probe() is False
    assert [hold.probes for hold in holds()] == [0, 0]


def test_number_of_holds_is_limited(context: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(queries, "MAX_HOLDS", 5)
    now = datetime.now(UTC)
    for number in range(8):
        with transaction():
            key = Key(Scope.SENDER, "twilio", "default", f"sender {number}")
            blocks.block(key, "21606", uuid4(), now)
    assert len(holds()) == 5  # suspicions: the oldest are dropped
    assert open_block() is True  # a block is more important
    for number in range(8):
        with transaction():
            blocks.block(Key(Scope.COUNTRY, "twilio", "default", f"{number}"), "1", uuid4(), now)
    assert len(holds()) == 5
    with transaction():
        key = Key(Scope.COUNTRY, "twilio", "default", "9")
        assert blocks.block(key, "1", uuid4(), now) is False


def test_test_messages_open_no_hold(context: Flask) -> None:
    now = datetime.now(UTC)
    with transaction():
        blocks.not_accepting("sandbox", "default", NotAccepted("too many", "20429"), now)
        key = Key(Scope.ACCOUNT, "sandbox", "default")
        assert blocks.block(key, "20005", uuid4(), now) is False
    assert db.session.scalars(select(Hold)).all() == []
