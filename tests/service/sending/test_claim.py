"""Order of claims: urgent first, an equal share per client, and rate limits of senders."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from threading import Barrier
from uuid import UUID

import pytest
from flask import Flask
from redis import Redis
from sqlalchemy import event, select, update
from sqlalchemy.exc import OperationalError

from service.components import Components, components
from service.coordination.circuit_breaker import CircuitBreaker
from service.coordination.sender_rate_limit import SenderRateLimit
from service.database import db, transaction
from service.domain.priority import Priority
from service.domain.status import Status
from service.models import Attempt, Client, Message
from service.queries.dialect import is_postgresql
from service.sending import claim as claiming
from service.sending import deliver
from service.sending.accept import accept
from tests.fakes import FakeProvider
from tests.messages import Post, draft
from tests.strategies import EPOCH

PostMany = Callable[..., list[UUID]]


@pytest.fixture
def post_many(context: Flask) -> PostMany:
    """Accept messages of a client of this name; return their ids."""
    clients: dict[str, int] = {}

    def post_messages(name: str, count: int, **changes: object) -> list[UUID]:
        if name not in clients:
            client = Client(name=name, created_at=EPOCH)
            db.session.add(client)
            db.session.commit()
            clients[name] = client.id
        accepted = accept(clients[name], [draft(**changes) for _ in range(count)])
        return [result.message.id for result in accepted]

    return post_messages


@pytest.fixture
def rate_limited(context: Flask, redis_url: str) -> Iterator[None]:
    """A rate limit of one segment per 10 s for every sender."""
    original: Components = context.extensions["waybill"]
    with Redis.from_url(redis_url, protocol=2) as redis:
        rates = SenderRateLimit(redis, CircuitBreaker(), {"*": 0.1})
        bound = {name: getattr(original, name) for name in Components.__slots__}
        context.extensions["waybill"] = Components(**{**bound, "sender_rates": rates})
        yield
    context.extensions["waybill"] = original


def claimed(limit: int) -> list[UUID]:
    return [claim.message.id for claim in claiming.claim(limit)]


def test_longest_due_message_of_a_client_is_claimed_first(post_many: PostMany) -> None:
    ids = post_many("a", 3) + post_many("a", 3)
    assert claimed(4) == ids[:4]
    assert claimed(4) == ids[4:]


def test_urgent_message_is_claimed_first(post_many: PostMany) -> None:
    post_many("bulk", 50)
    [urgent] = post_many("bulk", 1, priority=Priority.HIGH)
    [of_another] = post_many("other", 1, priority=Priority.HIGH)
    assert claimed(2) == [urgent, of_another]


def test_bulk_job_does_not_delay_other_clients(post_many: PostMany) -> None:
    post_many("bulk", 100)
    singles = [post_many(name, 1)[0] for name in ("a", "b", "c")]
    taken = claimed(8)
    assert len(taken) == 8
    assert set(singles) <= set(taken)


def test_unused_share_goes_to_other_clients(post_many: PostMany) -> None:
    post_many("small", 2)
    post_many("bulk", 100)
    post_many("also bulk", 100)
    taken = set(claimed(32))
    owners = select(Client.name).join(Message, Message.client_id == Client.id)
    names = list(db.session.scalars(owners.where(Message.id.in_(taken))))
    assert {name: names.count(name) for name in names} == {"small": 2, "bulk": 15, "also bulk": 15}


def test_longest_waiting_clients_are_claimed_first(
    post_many: PostMany,
) -> None:
    singles = [post_many(f"client {number}", 1)[0] for number in range(12)]
    assert claimed(5) == singles[:5]
    assert claimed(20) == singles[5:]


def test_only_due_messages_are_claimed(
    post_many: PostMany,
) -> None:
    later = post_many("a", 5)
    with transaction():
        hour = datetime.now(UTC) + timedelta(hours=1)
        db.session.execute(update(Message).values(due_at=hour))
    [now] = post_many("b", 1)
    assert claimed(10) == [now]
    assert now not in later


def test_concurrent_claims_take_each_message_once(context: Flask, post_many: PostMany) -> None:
    ids = {message_id for name in ("a", "b", "c") for message_id in post_many(name, 40)}
    start = Barrier(6)

    def claim(_: int) -> list[UUID]:
        with context.app_context():
            start.wait()
            return claimed(20)

    with ThreadPoolExecutor(6) as pool:
        taken = [message_id for batch in pool.map(claim, range(6)) for message_id in batch]
    assert len(taken) == len(ids)
    assert set(taken) == ids


def test_urgent_messages_are_shared_between_clients(post_many: PostMany) -> None:
    post_many("bulk", 40, priority=Priority.HIGH)
    [single] = post_many("a", 1, priority=Priority.HIGH)
    assert single in claimed(4)


def test_claim_does_not_scan_the_backlog(post_many: PostMany) -> None:
    if not is_postgresql():
        pytest.skip("SQLite does not report the rows that it scans")
    post_many("bulk", 3000)
    post_many("a", 1)
    with db.engine.begin() as connection:
        connection.exec_driver_sql("ANALYZE message")  # autovacuum does this within a minute
    statements: list[tuple[str, object]] = []

    def note(_c: object, _cursor: object, statement: str, parameters: object, *_: object) -> None:
        if statement.startswith(("WITH RECURSIVE", "SELECT")) and "FROM message" in statement:
            statements.append((statement, parameters))

    event.listen(db.engine, "before_cursor_execute", note)
    try:
        assert len(claimed(8)) == 8
    finally:
        event.remove(db.engine, "before_cursor_execute", note)
    assert statements
    with db.engine.connect() as connection:
        for statement, parameters in statements:
            plan = connection.exec_driver_sql(f"EXPLAIN {statement}", parameters)
            text = "\n".join(plan.scalars())
            assert "ix_message_turn" in text, text
            assert "Seq Scan on message" not in text, text


@pytest.mark.usefixtures("rate_limited")
def test_message_over_the_sender_rate_waits_without_attempt(
    post_many: PostMany, provider: FakeProvider
) -> None:
    ids = post_many("bulk", 30)
    assert len(claimed(64)) == 1
    db.session.rollback()
    waiting = db.session.scalars(select(Message).where(Message.status == Status.PENDING)).all()
    assert len(waiting) == 29
    assert {message.attempts for message in waiting} == {0}
    assert {message.submitted_at for message in waiting} == {None}
    assert all(message.due_at and message.due_at > datetime.now(UTC) for message in waiting)
    assert len(db.session.scalars(select(Attempt.id)).all()) == 1
    assert len(ids) == 30


@pytest.mark.usefixtures("rate_limited")
def test_claim_finds_messages_of_other_senders(post_many: PostMany) -> None:
    post_many("bulk", 40)
    [other] = post_many("bulk", 1, sender="+15005550007")
    taken = claimed(16)
    assert len(taken) == 2
    assert other in taken


@pytest.mark.usefixtures("rate_limited")
def test_urgent_message_is_first_at_its_sender_rate(post_many: PostMany) -> None:
    post_many("bulk", 40)
    [urgent] = post_many("bulk", 1, priority=Priority.HIGH)
    assert claimed(64) == [urgent]


@pytest.mark.usefixtures("rate_limited")
def test_message_is_sent_when_its_sender_rate_allows(
    post_many: PostMany, provider: FakeProvider
) -> None:
    post_many("bulk", 2)
    assert len(claimed(64)) == 1
    with transaction():
        now = datetime.now(UTC)
        db.session.execute(
            update(Message).where(Message.status == Status.PENDING).values(due_at=now)
        )
    with Redis.from_url(components().settings.redis_url.get_secret_value()) as redis:
        redis.delete("waybill:pace:twilio:default:+15005550006")  # as after ten seconds
    deliver.deliver()
    assert len(provider.on_air) == 1


@pytest.mark.usefixtures("rate_limited")
def test_earlier_claims_are_sent_when_a_later_round_fails(
    post_many: PostMany, provider: FakeProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The claims of the first round are committed: without a call they end in doubt."""
    post_many("bulk", 30)
    begin, rounds = claiming.attempts.begin, list[int]()

    def fail_later(rows: Sequence[object]) -> None:
        rounds.append(len(rows))
        if len(rounds) > 1:
            raise OperationalError("INSERT", {}, Exception("connection lost"))
        begin(rows)  # type: ignore[arg-type]

    monkeypatch.setattr(claiming.attempts, "begin", fail_later)
    assert deliver.deliver() == 1
    assert len(rounds) > 1
    assert len(provider.on_air) == 1
    db.session.rollback()
    statuses = list(db.session.scalars(select(Message.status)))
    assert statuses.count(Status.QUEUED) == 1
    assert statuses.count(Status.SUBMITTING) == 0


def test_failed_first_round_claims_nothing(
    post_many: PostMany, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_: object) -> None:
        raise OperationalError("INSERT", {}, Exception("connection lost"))

    post_many("bulk", 1)
    monkeypatch.setattr(claiming.attempts, "begin", fail)
    with pytest.raises(OperationalError):
        claiming.claim(8)
    monkeypatch.undo()
    assert len(claimed(8)) == 1


def test_default_priority_is_normal(post: Post) -> None:
    message_id = post()
    db.session.rollback()
    assert db.session.get_one(Message, message_id).priority == Priority.NORMAL
