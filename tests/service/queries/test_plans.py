"""On a large database every statement reads by index, and not much more than it returns.

The statements are those that the service sends while it is used: nothing is copied here.
"""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Final
from urllib.parse import urlencode
from uuid import UUID

import pytest
from flask import Flask
from flask.testing import FlaskClient
from flask_migrate import upgrade

from service.app import create_app
from service.database import db, schema, transaction
from service.domain.report import Source
from service.domain.status import Status
from service.models import Attempt, Message
from service.operations import audit as auditing
from service.operations.overview import read_overview
from service.privacy import erase, purge, redact
from service.queries import audit, backlog, reconciliation
from service.queries.backlog import COUNT_LIMIT
from service.reconciliation import poll
from service.recording import record
from service.sending import cancel, claim
from tests.conftest import make_database, make_key, make_settings
from tests.fakes import FakeProvider, said
from tests.filled import CAMPAIGN, NUMBER, fill
from tests.plans import Plan, explained
from tests.service.web.ops.conftest import Operator, make_operator_key
from tests.test_kubernetes import triggers

PAGE: Final = 20
READ_FOR_ONE: Final = 20
FEW_BLOCKS: Final = 64
SIZES: Final = (30_000, pytest.param(300_000, marks=pytest.mark.slow))

Use = Callable[[], object]


@pytest.fixture(scope="module", params=SIZES)
def filled(request: pytest.FixtureRequest, postgres_url: str, redis_url: str) -> Iterator[Flask]:
    """An application over a filled database."""
    many: int = request.param
    url = make_database(postgres_url, f"plans_{many}")
    settings = make_settings(url, redis_url, REDACT_AFTER="7", KEEP_MESSAGES="29")
    app = create_app(settings, providers={"twilio": FakeProvider()})
    schema.prepare(app)
    with app.app_context():
        upgrade()
        with db.engine.begin() as connection:
            fill(connection, many)
        yield app
        db.session.remove()
        db.engine.dispose()


@pytest.fixture(scope="module")
def lists(filled: Flask) -> dict[int, FlaskClient]:
    """The API, with a key of each client of the filled database."""
    clients = {}
    for number in (1, 2, 3, 4):
        client = filled.test_client()
        key = make_key(filled, f"client-{number}")
        client.environ_base["HTTP_AUTHORIZATION"] = f"Bearer {key}"
        clients[number] = client
    return clients


def plans_of(use: Use) -> list[Plan]:
    db.session.remove()
    with explained(db.engine) as plans:
        use()
    db.session.remove()
    return plans


def assert_frugal(use: Use, at_most: int = 0) -> None:
    """No whole table, and 20 rows for one; or `at_most` rows, where that many are counted."""
    plans = plans_of(use)
    assert plans
    for plan in plans:
        assert not plan.whole_tables, str(plan)
        allowed = max(READ_FOR_ONE * max(plan.returned, 1), at_most)
        # PostgreSQL prefers to sort what stands in a few blocks, however many rows that are.
        assert plan.read <= allowed or plan.blocks <= FEW_BLOCKS, str(plan)
        # Entries of an index that its condition passes over are counted nowhere else.
        assert plan.blocks <= 200 + max(5 * plan.read, 2 * at_most), str(plan)


# Lists


def day(ago: float) -> str:
    return (datetime.now(UTC) - timedelta(days=ago)).isoformat()


@pytest.mark.parametrize("client", [1, 2, 3, 4])
@pytest.mark.parametrize(
    "query",
    [
        {},
        {"created_after": day(1)},
        {"created_after": day(20), "created_before": day(19.9)},
        {"created_before": day(25)},
        *({"status": status.value} for status in Status),
        {"status": "failed", "created_before": day(20)},
        {"status": "in_doubt", "created_before": day(20)},
        {"status": "delivered", "created_after": day(2), "created_before": day(1)},
        {"to": NUMBER},
        {"to": NUMBER, "created_before": day(15)},
        {"to": "+14155550999"},
        {"to": NUMBER, "status": "failed"},
        {"reference": CAMPAIGN},
        {"reference": CAMPAIGN, "created_after": day(29), "created_before": day(28)},
        {"reference": "r-28000"},
        {"reference": CAMPAIGN, "to": NUMBER},
        {"provider": "sinch"},
        {"provider": "sinch", "status": "delivered"},
        {"provider_sid": "SM1"},
        {"provider_sid": "SM1", "status": "sent", "to": NUMBER},
    ],
    ids=lambda given: urlencode({name: value[:10] for name, value in given.items()}),
)
def test_a_list_reads_little_more_than_a_page(
    lists: dict[int, FlaskClient], client: int, query: dict[str, str]
) -> None:
    def read() -> None:
        answer = lists[client].get(f"/v1/messages?{urlencode({**query, 'limit': PAGE})}")
        assert answer.status_code == 200, answer.json

    assert_frugal(read, at_most=READ_FOR_ONE * (PAGE + 1))


@pytest.mark.parametrize("status", ["failed", "canceled", "read", "in_doubt", "submitting"])
def test_few_messages_with_a_status_are_found_in_one_page(
    lists: dict[int, FlaskClient], status: str
) -> None:
    def read() -> None:
        answer = lists[1].get(f"/v1/messages?status={status}&limit=200")
        found = {message["status"] for message in answer.json["messages"]}
        assert (found, answer.json["next_cursor"]) == ({status}, None)

    assert_frugal(read)


def test_pages_of_a_search_find_every_match(lists: dict[int, FlaskClient]) -> None:
    """The few that the provider still has, among many that ended without a word of it."""
    found, query = list[str](), {"status": "queued", "cursor": str(UUID(int=2**128 - 1))}
    while query["cursor"]:
        answer = lists[1].get(f"/v1/messages?{urlencode(query)}").json
        found += [message["id"] for message in answer["messages"]]
        query["cursor"] = answer["next_cursor"]

    stored = db.select(Message.id).where(Message.client_id == 1, Message.status == Status.QUEUED)
    stored = stored.order_by(Message.id.desc())
    assert found == [str(one) for one in db.session.scalars(stored)]


# Operators and monitoring


@pytest.fixture(scope="module")
def operator(filled: Flask) -> Operator:
    someone = Operator(filled)
    assert someone.log_in(make_operator_key(filled, "ada")).status_code == 303
    return someone


@pytest.mark.parametrize(
    "path",
    [
        "/doubts",
        "/messages",
        *(f"/messages?{urlencode({'q': query})}" for query in (NUMBER, CAMPAIGN, "+14155550999")),
        *(f"/messages?q={query}" for query in ("r-28000", "SM1")),
    ],
)
def test_a_page_for_operators_reads_little(operator: Operator, path: str) -> None:
    def read() -> None:
        assert operator.get(path).status_code in (200, 303)  # to the only message that is found

    # One number, or reference, of several clients: a page of each.
    assert_frugal(read, at_most=4 * 51 * 2)


def test_the_overview_counts_and_lists_by_index(filled: Flask) -> None:
    assert_frugal(read_overview, at_most=8 * COUNT_LIMIT)


def test_what_waits_is_counted_by_index(filled: Flask) -> None:
    assert_frugal(lambda: backlog.measure(datetime.now(UTC)), at_most=8 * COUNT_LIMIT)


# Flows


def attempts(status: Status, limit: int) -> list[UUID]:
    query = db.select(Attempt.id).join(Message).where(Message.status == status).limit(limit)
    return list(db.session.scalars(query))


def test_a_claim_and_its_sweep_read_what_they_take(filled: Flask) -> None:
    assert_frugal(lambda: claim.claim(64))
    assert_frugal(claim.expire_claims)


def test_reports_are_recorded_by_key(filled: Flask) -> None:
    reports = [
        said("delivered", attempt_id=one, sid=f"SM{one.hex}", source=Source.CALLBACK)
        for one in attempts(Status.SENT, 40) + attempts(Status.IN_DOUBT, 2)
    ]
    assert_frugal(lambda: record.record(reports), at_most=4 * len(reports))
    strangers = [said("sent", sid=f"SMstrange{n}", source=Source.CALLBACK) for n in range(40)]
    assert_frugal(lambda: record.record(strangers))


def test_a_callback_updates_its_row_in_place(filled: Flask) -> None:
    """No index holds a column that changes with every callback, nor one computed from it (HOT)."""
    reports = [said("sent", attempt_id=one) for one in attempts(Status.QUEUED, 20)]
    in_place = db.text("SELECT pg_stat_get_xact_tuples_hot_updated('message'::regclass)")
    with transaction():
        record.apply(reports)
        assert db.session.scalar(in_place) == len(reports)


def test_what_keda_asks_is_counted_by_index(filled: Flask) -> None:
    [trigger] = triggers("worker-send")
    assert_frugal(lambda: db.session.execute(db.text(trigger["query"])).all(), at_most=COUNT_LIMIT)


def test_look_ups_and_questions_are_taken_by_index(filled: Flask) -> None:
    assert_frugal(poll.reconcile_due)
    doubts = db.session.scalars(db.select(Message.id).where(Message.doubt_since.is_not(None)))
    some = doubts.fetchmany(3)
    assert_frugal(lambda: poll.reconcile(some, at_once=True))


def test_unfinished_messages_are_found_in_pieces(filled: Flask) -> None:
    def read() -> None:
        assert reconciliation.unfinished(datetime.now(UTC) - timedelta(days=30), None, 10)

    assert_frugal(read, at_most=reconciliation._PIECE)


def test_orphans_are_looked_at_in_pieces(filled: Flask) -> None:
    assert_frugal(record.adopt_orphans, at_most=2_000)


def test_a_pending_message_is_canceled_by_key(filled: Flask) -> None:
    query = db.select(Message.id).where(Message.client_id == 2, Message.status == Status.PENDING)
    message_id = db.session.scalars(query.limit(1)).one()
    assert_frugal(lambda: cancel.cancel(2, message_id))


def test_redaction_and_retention_read_what_they_change(
    filled: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("service.database.batches._LONGEST", 0.5)
    assert_frugal(redact.redact)
    assert_frugal(purge.delete_old)


def test_a_number_is_forgotten_by_index(filled: Flask) -> None:
    assert_frugal(lambda: erase.forget("+14155550999"), at_most=5_000)


def test_an_audit_reads_in_pieces(filled: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    piece = 1_000  # a tenth: of a small table, PostgreSQL would read a large piece without an index
    monkeypatch.setattr(audit, "BATCH", piece)
    assert_frugal(auditing.audit, at_most=4 * piece)
