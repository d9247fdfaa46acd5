"""A page of the feed reads one range of an index, behind any cursor, among any number of events."""

from collections.abc import Iterator
from typing import Any, Final

import pytest
from flask import Flask
from sqlalchemy import Connection, text

from service.database import db
from service.event_feed import cursor
from service.event_feed import read as feed
from service.event_feed.cursor import Cursor
from service.privacy import purge
from service.queries import events
from tests.filled import filled_application
from tests.plans import Plan, _nodes, explained

pytestmark = pytest.mark.slow

INDEX: Final = "ix_event_feed"
LIMIT: Final = 100
SIZES: Final = (50_000, 1_000_000)

# Client 1 has most events, client 2 a tenth, client 3 three in all; ten events a transaction, whose
# number is lower than that of the next transaction of the server.
_EVENTS: Final = """
INSERT INTO event (transaction_id, client_id, type, message_id, status, version, created_at)
SELECT number / 10 - :many,
    CASE WHEN number % :third = 17 THEN 3 WHEN number % 10 = 9 THEN 2 ELSE 1 END,
    'message.updated', gen_random_uuid(), 'delivered', 3,
    now() - (:many - number) * (interval '29 days' / :many)
FROM generate_series(1, :many) AS number
"""
_CLIENTS: Final = """
INSERT INTO client (id, name, test, created_at)
SELECT number, 'client ' || number, false, now() FROM generate_series(1, 3) AS number
"""


@pytest.fixture(scope="module", params=SIZES)
def many(request: pytest.FixtureRequest) -> int:
    number: int = request.param
    return number


@pytest.fixture(scope="module")
def filled(many: int, postgres_url: str, redis_url: str) -> Iterator[Flask]:
    def fill(connection: Connection) -> None:
        connection.execute(text(_CLIENTS))
        connection.execute(text(_EVENTS), {"many": many, "third": many // 3})
        connection.execute(text("ANALYZE"))

    with filled_application(postgres_url, redis_url, f"feed_{many}", fill) as app:
        yield app


def plans_of(use: Any) -> list[Plan]:
    db.session.remove()
    with explained(db.engine) as plans:
        use()
    db.session.remove()
    return plans


def feed_scans(plans: list[Plan]) -> list[dict[str, Any]]:
    nodes = [node for plan in plans for node in _nodes(plan.text)]
    return [node for node in nodes if node.get("Relation Name") == "event"]


@pytest.mark.parametrize("types", [None, ["message.updated"]])
@pytest.mark.parametrize("place", [0.0, 0.001, 0.5, 0.999, 1.0])
@pytest.mark.parametrize("client_id", [1, 2, 3])
def test_page_behind_any_cursor_is_one_range(
    filled: Flask, many: int, client_id: int, place: float, types: list[str] | None
) -> None:
    until = events.end()
    after = (int(many * place) // 10 - many, 0)
    if types is None:
        scans = feed_scans(plans_of(lambda: events.page(client_id, after, until, LIMIT)))
    else:
        scans = feed_scans(
            plans_of(lambda: events.page_of_types(client_id, after, until, LIMIT, types))
        )
    assert scans
    for scan in scans:
        assert (scan["Node Type"], scan["Index Name"]) == ("Index Scan", INDEX)
        assert scan["Index Cond"].count("ROW(transaction_id, id)") == 2, scan
        assert scan.get("Rows Removed by Filter", 0) == 0
        assert scan["Actual Rows"] <= LIMIT


def test_page_of_a_rare_type_reads_a_bounded_range(filled: Flask, many: int) -> None:
    after, until = (-many, 0), events.end()
    scans = feed_scans(
        plans_of(lambda: events.page_of_types(1, after, until, LIMIT, ["message.received"]))
    )
    assert all(scan["Index Name"] == INDEX for scan in scans)
    assert all(scan["Actual Rows"] <= events.MOST_COMPARED for scan in scans)


def test_first_page_reads_a_range(filled: Flask) -> None:
    plans = plans_of(lambda: feed.read(1, None, LIMIT))
    assert {scan["Node Type"] for scan in feed_scans(plans)} == {"Index Scan"}
    assert all(scan["Actual Rows"] <= LIMIT + 1 for scan in feed_scans(plans))


def test_next_page_reads_events_by_key(filled: Flask) -> None:
    after = Cursor(cursor.current_feed(), (0, 0), feed.end().time)
    plans = plans_of(lambda: feed.read(1, after, LIMIT))
    assert {scan["Node Type"] for scan in feed_scans(plans)} <= {"Index Scan"}


def test_latest_events_are_read_backwards(filled: Flask) -> None:
    [scan] = feed_scans(plans_of(lambda: events.latest(1, events.end(), 10)))
    assert (scan["Index Name"], scan["Scan Direction"]) == (INDEX, "Backward")
    assert scan["Actual Rows"] == 10


def test_age_of_hidden_events_is_one_descent_for_each_client(filled: Flask, many: int) -> None:
    [scan] = feed_scans(plans_of(lambda: events.hidden_since((-many, 0))))
    assert scan["Index Name"] == INDEX
    assert (scan["Actual Loops"], scan["Actual Rows"]) == (3, 1)


def test_purge_of_young_events_reads_one_batch(filled: Flask) -> None:
    plans = plans_of(purge.delete_old_events)
    assert all(scan["Node Type"] == "Index Scan" for scan in feed_scans(plans))
    assert sum(scan["Actual Rows"] for scan in feed_scans(plans)) <= 500
