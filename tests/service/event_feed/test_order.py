"""The order of the feed: a reader misses no event of a transaction that commits late."""

import random
import time
from collections import defaultdict
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime
from threading import Event as Flag
from uuid import UUID

import pytest
from flask import Flask
from sqlalchemy import Connection, func, insert, select, text

from service.database import db, transaction
from service.event_feed import read as feed
from service.event_feed.cursor import Cursor, decode, encode
from service.models import Event, Message
from service.queries import events, ledger
from service.queries.dialect import is_postgresql
from service.webhooks.owe import owe
from tests.messages import Post

pytestmark = pytest.mark.usefixtures("events_told")

WRITERS, READERS = 8, 4
ROUNDS = 20
# Seconds at most, also between the event and its commit.
PAUSE = 0.03


def append(message_ids: list[UUID]) -> None:
    """Add an event for each message, in the transaction of the caller."""
    owe(ledger.lock_outcomes(message_ids))


def written() -> list[int]:
    """All event ids in the order of the feed."""
    db.session.rollback()
    ids = db.session.scalars(select(Event.id).order_by(Event.transaction_id, Event.id)).all()
    db.session.rollback()
    return list(ids)


def new_ids(client_id: int, after: Cursor) -> tuple[list[int], Cursor]:
    """The ids of the next events, and the cursor behind them, as a client keeps it."""
    with transaction():
        page = feed.read(client_id, after, 500)
    return [event.id for event, _ in page.events], decode(encode(page.next))


@contextmanager
def uncommitted(message_id: UUID, client_id: int) -> Iterator[tuple[int, Connection]]:
    """An event of a transaction that has taken its id and is not committed yet."""
    with db.engine.connect() as connection:
        values = {
            "transaction_id": events.transaction_number(),
            "client_id": client_id,
            "type": events.MESSAGE_UPDATED,
            "message_id": message_id,
            "status": "sent",
            "version": 1,
            "created_at": datetime.now(UTC),
        }
        event_id = connection.execute(insert(Event).values(values).returning(Event.id)).scalar_one()
        yield event_id, connection
        connection.rollback()


@pytest.fixture
def postgresql_only(context: Flask) -> None:
    if not is_postgresql():
        pytest.skip("SQLite runs one write transaction at a time")


@pytest.mark.usefixtures("postgresql_only")
def test_event_that_commits_late_is_not_lost(post: Post, client_id: int) -> None:
    message_id = post()
    start = feed.end()
    with uncommitted(message_id, client_id) as (early, connection):
        with transaction():
            append([message_id])
        seen, cursor = new_ids(client_id, start)
        assert seen == [], "the event after it waits for it"
        connection.commit()
    ids, _ = new_ids(client_id, cursor)

    assert ids == written()
    assert ids[0] == early


@pytest.mark.usefixtures("postgresql_only")
def test_later_id_of_an_earlier_transaction_comes_first(post: Post, client_id: int) -> None:
    """The order of ids is not that of transactions: both orders must not be mixed."""
    message_id = post()
    start = feed.end()
    with uncommitted(message_id, client_id) as (_, earlier):
        with transaction():
            append([message_id])
        values = {"client_id": client_id, "type": "message.updated", "message_id": message_id}
        values |= {"transaction_id": events.transaction_number(), "created_at": datetime.now(UTC)}
        earlier.execute(insert(Event).values(values))
        earlier.commit()
    ids, _ = new_ids(client_id, start)

    assert ids == [ids[0], ids[0] + 2, ids[0] + 1]
    assert new_ids_one_by_one(client_id, start) == ids


def new_ids_one_by_one(client_id: int, cursor: Cursor) -> list[int]:
    ids, more = list[int](), True
    while more:
        page = feed.read(client_id, cursor, 1)
        ids += [event.id for event, _ in page.events]
        cursor, more = page.next, page.more
    db.session.rollback()
    return ids


@pytest.mark.usefixtures("postgresql_only")
def test_event_of_a_subtransaction_has_the_number_of_the_whole(post: Post, client_id: int) -> None:
    """A savepoint has a number of its own, which is higher than those of later transactions."""
    message_id = post()
    start = feed.end()
    with transaction():
        append([message_id])
        with db.session.begin_nested():
            append([message_id])
        numbers = set(db.session.scalars(select(Event.transaction_id)))
    assert len(numbers) == 1
    assert new_ids(client_id, start)[0] == written()


@pytest.mark.usefixtures("postgresql_only")
def test_transaction_that_writes_elsewhere_holds_the_feed_back(post: Post, client_id: int) -> None:
    message_id = post()
    with db.engine.connect() as elsewhere:
        elsewhere.execute(text("SELECT pg_current_xact_id()"))
        start = feed.end()
        with transaction():
            append([message_id])
        assert new_ids(client_id, start)[0] == []
        since = events.hidden_since(start.position)
        db.session.rollback()
        assert since is not None
        elsewhere.rollback()
    assert new_ids(client_id, start)[0] == written()
    assert events.hidden_since(feed.end().position) is None


@pytest.mark.usefixtures("postgresql_only")
def test_transaction_that_only_reads_does_not_hold_it_back(post: Post, client_id: int) -> None:
    """As a backup does."""
    message_id = post()
    with db.engine.connect() as backup:
        backup.execute(text("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ"))
        backup.execute(select(func.count()).select_from(Message))
        start = feed.end()
        with transaction():
            append([message_id])
        assert new_ids(client_id, start)[0] == written()


@pytest.mark.slow
def test_concurrent_readers_see_every_event_once_in_one_order(
    context: Flask, post: Post, client_id: int
) -> None:
    """Eight writers commit after random pauses; four readers read after random pauses."""
    message_ids = [[post() for _ in range(3)] for _ in range(WRITERS)]
    start, stop = feed.end(), Flag()
    db.session.rollback()

    def write(seed: int) -> None:
        chance = random.Random(seed)
        with context.app_context():
            for _ in range(ROUNDS):
                with transaction():
                    append(message_ids[seed][: chance.randint(1, 3)])
                    time.sleep(chance.random() * PAUSE)
                time.sleep(chance.random() * PAUSE)

    def read(seed: int) -> list[int]:
        chance, ids, cursor = random.Random(seed), list[int](), start
        with context.app_context():
            while True:
                stopped = stop.is_set()
                with transaction():
                    page = feed.read(client_id, cursor, chance.choice([1, 10, 100]))
                ids += [event.id for event, _ in page.events]
                cursor = decode(encode(page.next))
                if stopped and page.is_last:
                    return ids
                time.sleep(chance.random() * PAUSE)

    with ThreadPoolExecutor(WRITERS + READERS) as pool:
        readers = [pool.submit(read, 100 + seed) for seed in range(READERS)]
        try:
            list(pool.map(write, range(WRITERS)))
        finally:
            stop.set()
        seen = [reader.result() for reader in readers]

    everything = written()
    assert len(everything) >= WRITERS * ROUNDS
    assert [ids == everything for ids in seen] == [True] * READERS, differences(seen, everything)


def differences(seen: list[list[int]], everything: list[int]) -> dict[str, list[int]]:
    found = defaultdict[str, list[int]](list)
    for ids in seen:
        found["missing"].append(len(set(everything) - set(ids)))
        found["repeated"].append(len(ids) - len(set(ids)))
    return dict(found)
