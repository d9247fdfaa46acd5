"""On a large database every statement reads by index, and little more than it returns.

The tests use the service and explain the statements that it sends.
"""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from math import ceil
from typing import Final
from urllib.parse import urlencode
from uuid import UUID

import pytest
from flask import Flask
from flask.testing import FlaskClient

from service.database import db, transaction
from service.database.batches import BATCH
from service.domain.report import Source
from service.domain.status import Status
from service.inbound import record as inbound
from service.models import Attempt, Client, InboundMessage, Message
from service.operations import audit as auditing
from service.operations import bulk_resend
from service.operations.bulk_resend import Limits, Selection
from service.operations.operator_actions import by_operator
from service.operations.overview import read_overview
from service.privacy import erase, purge, redact
from service.queries import audit, backlog, reconciliation
from service.queries.backlog import COUNT_LIMIT
from service.reconciliation import poll
from service.recording import record
from service.sending import cancel, claim
from tests.conftest import make_key
from tests.fakes import said
from tests.filled import CAMPAIGN, NUMBER, fill, filled_application
from tests.plans import Plan, explained
from tests.service.inbound.conversation import heard
from tests.service.web.ops.conftest import Operator, make_operator_key
from tests.test_kubernetes import triggers

pytestmark = pytest.mark.slow

PAGE: Final = 20
READ_PER_ROW: Final = 20
SIZES: Final = (30_000, 300_000)

Use = Callable[[], object]


@pytest.fixture(scope="module", params=SIZES)
def filled(request: pytest.FixtureRequest, postgres_url: str, redis_url: str) -> Iterator[Flask]:
    """An application over a filled database."""
    many: int = request.param
    name, settings = f"plans_{many}", {"REDACT_AFTER": "7", "KEEP_MESSAGES": "29"}
    with filled_application(
        postgres_url, redis_url, name, lambda connection: fill(connection, many), **settings
    ) as app:
        yield app


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


def assert_frugal(use: Use, at_most: int = 0, blocks: int = 0) -> None:
    """Fail if a statement reads a whole table or more than 20 rows for each row it returns.

    Statements that count or search may read `at_most` rows. A statement that reads few enough
    `blocks` may read any number of rows.
    """
    plans = plans_of(use)
    assert plans
    for plan in plans:
        assert not plan.whole_tables, str(plan)
        allowed = max(READ_PER_ROW * max(plan.returned, 1), at_most)
        assert plan.read <= allowed or 0 < plan.blocks <= blocks, str(plan)
        # Blocks also count index entries that a condition on the index passes over.
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
        {"reference": "r-28000"},
        {"reference": CAMPAIGN, "to": NUMBER},
        {"provider": "sinch"},
        {"provider": "sinch", "status": "delivered"},
        {"provider_sid": "SM1"},
        {"provider_sid": "SM1", "status": "sent", "to": NUMBER},
    ],
    ids=lambda query: urlencode({name: value[:10] for name, value in query.items()}),
)
def test_list_reads_little_more_than_a_page(
    lists: dict[int, FlaskClient], client: int, query: dict[str, str]
) -> None:
    assert_frugal(lambda: page(lists[client], query), at_most=READ_PER_ROW * (PAGE + 1))


def page(client: FlaskClient, query: dict[str, str], path: str = "/v1/messages") -> None:
    answer = client.get(f"{path}?{urlencode({**query, 'limit': PAGE})}")
    assert answer.status_code == 200, answer.json


@pytest.mark.parametrize("client", [1, 2, 3, 4])
@pytest.mark.parametrize(
    "query",
    [
        {},
        {"received_after": day(1)},
        {"received_after": day(20), "received_before": day(19.9)},
        {"from": NUMBER},
        {"from": NUMBER, "received_before": day(15)},
        {"from": "+14155550999"},
        {"from": NUMBER, "keyword": "stop"},  # has written none
        {"to": "+15005550006", "received_before": day(10)},
        {"to": "+15005550007"},  # one in a thousand
        {"to": "+15005550006", "keyword": "start"},
        *({"keyword": keyword} for keyword in ("stop", "start", "help")),
        {"in_reply_to": str(UUID(int=7))},
        {"in_reply_to": str(UUID(int=7)), "from": NUMBER, "keyword": "stop"},
    ],
    ids=lambda query: urlencode({name: value[:10] for name, value in query.items()}),
)
def test_inbound_list_reads_little_more_than_a_page(
    lists: dict[int, FlaskClient], client: int, query: dict[str, str]
) -> None:
    most = READ_PER_ROW * (PAGE + 1)
    assert_frugal(lambda: page(lists[client], query, "/v1/inbound"), at_most=most)


@pytest.mark.parametrize("client", [1, 2, 3, 4])
def test_list_of_a_reference_in_a_day_reads_one_range(
    lists: dict[int, FlaskClient], client: int
) -> None:
    query = {"reference": CAMPAIGN, "created_after": day(29), "created_before": day(28)}
    # With 30,000 messages PostgreSQL prefers to read all 1,000 of the day by the primary key and to
    # sort them (57 blocks). With 300,000 messages it walks the index of references.
    assert_frugal(lambda: page(lists[client], query), READ_PER_ROW * (PAGE + 1), blocks=60)


@pytest.mark.parametrize("status", ["failed", "canceled", "read", "in_doubt", "submitting"])
def test_rare_status_is_found_in_one_page(lists: dict[int, FlaskClient], status: str) -> None:
    def read() -> None:
        answer = lists[1].get(f"/v1/messages?status={status}&limit=200")
        statuses = {message["status"] for message in answer.json["messages"]}
        assert (statuses, answer.json["next_cursor"]) == ({status}, None)

    assert_frugal(read)


def test_pages_of_a_search_find_every_match(lists: dict[int, FlaskClient]) -> None:
    """Few messages are queued at the provider, among many that have ended."""
    ids, query = list[str](), {"status": "queued", "cursor": str(UUID(int=2**128 - 1))}
    while query["cursor"]:
        answer = lists[1].get(f"/v1/messages?{urlencode(query)}").json
        ids += [message["id"] for message in answer["messages"]]
        query["cursor"] = answer["next_cursor"]

    stored = db.select(Message.id).where(Message.client_id == 1, Message.status == Status.QUEUED)
    stored = stored.order_by(Message.id.desc())
    assert ids == [str(message_id) for message_id in db.session.scalars(stored)]


# Operators and monitoring


@pytest.fixture(scope="module")
def operator(filled: Flask) -> Operator:
    operator = Operator(filled)
    assert operator.log_in(make_operator_key(filled, "ada")).status_code == 303
    return operator


@pytest.mark.parametrize(
    "path",
    [
        "/doubts",
        "/messages",
        *(f"/messages?{urlencode({'q': query})}" for query in (NUMBER, CAMPAIGN, "+14155550999")),
        *(f"/messages?q={query}" for query in ("r-28000", "SM1")),
    ],
)
def test_operator_page_reads_little(operator: Operator, path: str) -> None:
    def read() -> None:
        assert operator.get(path).status_code in (200, 303)  # 303: redirect to the only match

    # A page for each of the four clients that used the number or the reference.
    assert_frugal(read, at_most=4 * 51 * 2)


@pytest.fixture
def told(filled: Flask) -> Iterator[None]:
    """Client 1 asked for events a long time ago."""
    _tell(datetime.now(UTC) - timedelta(days=60))
    yield
    _tell(None)


def _tell(since: datetime | None) -> None:
    values = {"events_since": since, "events_complete": since is not None}
    with transaction():
        db.session.execute(db.update(Client).where(Client.id == 1).values(**values))


def test_overview_counts_and_lists_by_index(filled: Flask) -> None:
    assert_frugal(read_overview, at_most=8 * COUNT_LIMIT)


def test_backlog_is_counted_by_index(filled: Flask) -> None:
    assert_frugal(lambda: backlog.measure(datetime.now(UTC)), at_most=8 * COUNT_LIMIT)


# Flows


def attempts(status: Status, limit: int) -> list[UUID]:
    query = db.select(Attempt.id).join(Message).where(Message.status == status).limit(limit)
    return list(db.session.scalars(query))


def test_claims_read_only_claimed_rows(filled: Flask) -> None:
    assert_frugal(lambda: claim.claim(64))
    assert_frugal(claim.expire_claims, at_most=4 * BATCH)  # also reads whose client asks for events


def test_reports_are_recorded_by_key(filled: Flask) -> None:
    reports = [
        said("delivered", attempt_id=attempt, sid=f"SM{attempt.hex}", source=Source.CALLBACK)
        for attempt in attempts(Status.SENT, 40) + attempts(Status.IN_DOUBT, 2)
    ]
    assert_frugal(lambda: record.record(reports), at_most=4 * len(reports))
    orphans = [said("sent", sid=f"SMstrange{n}", source=Source.CALLBACK) for n in range(40)]
    assert_frugal(lambda: record.record(orphans))


def test_inbound_messages_are_recorded_by_key(filled: Flask) -> None:
    """From persons who were written to often, once and never; also those who opt out."""
    persons = (NUMBER, "+14155550999", "+14155551234", "+14155551235")
    received = [heard(text, From=person) for person in persons for text in ("Hi", "STOP", "START")]
    assert_frugal(lambda: inbound.record(received), at_most=4 * 200 * len(persons))


def test_repeated_inbound_message_is_found_by_key(filled: Flask) -> None:
    query = db.select(InboundMessage.provider_sid).where(InboundMessage.from_address == NUMBER)
    known = db.session.scalars(query.limit(1)).one()
    assert_frugal(lambda: inbound.record([heard("Hi", MessageSid=known)]), at_most=4 * 200)


def test_callback_update_is_heap_only(filled: Flask) -> None:
    """A callback changes no column of an index, so that PostgreSQL writes a heap-only tuple."""
    reports = [said("sent", attempt_id=attempt) for attempt in attempts(Status.QUEUED, 20)]
    in_place = db.text("SELECT pg_stat_get_xact_tuples_hot_updated('message'::regclass)")
    with transaction():
        record.apply(reports)
        assert db.session.scalar(in_place) == len(reports)


def test_keda_query_counts_by_index(filled: Flask) -> None:
    [trigger] = triggers("worker-send")
    assert_frugal(lambda: db.session.execute(db.text(trigger["query"])).all(), at_most=COUNT_LIMIT)


def test_look_ups_and_polls_are_claimed_by_index(filled: Flask) -> None:
    assert_frugal(poll.reconcile_due)
    doubts = db.session.scalars(db.select(Message.id).where(Message.doubt_since.is_not(None)))
    some = doubts.fetchmany(3)
    assert_frugal(lambda: poll.reconcile(some, force=True))


def test_unfinished_messages_are_read_in_pieces(filled: Flask) -> None:
    def read() -> None:
        assert reconciliation.unfinished(datetime.now(UTC) - timedelta(days=30), None, 10)

    assert_frugal(read, at_most=reconciliation._PIECE)


def test_orphans_are_read_in_pieces(filled: Flask) -> None:
    assert_frugal(record.adopt_orphans, at_most=2_000)


def test_pending_message_is_canceled_by_key(filled: Flask) -> None:
    query = db.select(Message.id).where(Message.client_id == 2, Message.status == Status.PENDING)
    message_id = db.session.scalars(query.limit(1)).one()
    assert_frugal(lambda: cancel.cancel(2, message_id))


def test_failed_messages_are_selected_and_sent_again_by_index(
    filled: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bulk_resend, "_BATCH", 100)
    since = datetime.now(UTC) - timedelta(days=30)
    order, limits = by_operator("ada"), Limits(200)
    for code in (None, "30008"):  # no message has this code
        selection = Selection(since, datetime.now(UTC), error_code=code)
        # Of a small table PostgreSQL reads the 30 days by the primary key, 157 blocks.
        most = {"at_most": 4 * 100, "blocks": 200}
        assert_frugal(lambda s=selection: bulk_resend.count(s, order, limits), **most)
        assert_frugal(lambda s=selection: bulk_resend.run(s, order, limits), **most)


def test_redaction_and_purge_read_changed_rows(
    filled: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("service.database.batches._MAX_DURATION", 0.5)
    assert_frugal(redact.redact)
    assert_frugal(purge.delete_old)


@pytest.mark.slow
def test_number_is_erased_by_index(filled: Flask) -> None:
    assert_frugal(lambda: erase.erase_number("+14155550999"))


@pytest.mark.slow
@pytest.mark.usefixtures("told")
def test_audit_reads_in_pieces(filled: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    piece = 1_000  # PostgreSQL would read a larger piece of a small table without an index
    monkeypatch.setattr(audit, "BATCH", piece)
    assert_frugal(auditing.audit, at_most=4 * piece)


@pytest.mark.slow
def test_erasure_reads_each_message_once(filled: Flask) -> None:
    """A batch does not read again the messages of the batches before it."""
    count = db.session.scalar(db.select(db.func.count()).where(Message.to == NUMBER))
    db.session.remove()
    with explained(db.engine, repeats=1_000) as plans:
        erase._erase_messages([NUMBER], "forgotten:0")
    selects = [plan for plan in plans if plan.statement.startswith("SELECT message.id")]
    batches = [plan for plan in selects if plan.statement.endswith("FOR UPDATE")]
    assert len(batches) == ceil(count / BATCH)
    assert sum(plan.read for plan in batches) == count
    assert selects[0].read == count
    assert not selects[0].whole_tables
