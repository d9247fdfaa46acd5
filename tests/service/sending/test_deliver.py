"""Deliver: each message is sent at most once, for every answer and after every crash."""

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from threading import Barrier, Event, Lock
from time import monotonic, sleep
from uuid import UUID

import pytest
from flask import Flask, current_app
from redis import Redis
from sqlalchemy import select, update
from sqlalchemy.exc import OperationalError

from service.components import components
from service.database import db, transaction
from service.domain.report import StatusReport
from service.domain.status import Status
from service.errors import NotAccepted, OutcomeUnknown, ProviderError, Refused
from service.models import Attempt, Message
from service.providers.base import Outbound
from service.recording import consume_inbox, record
from service.recording.answers import Answer
from service.recording.record_answers import record_answers
from service.retry_policy import backoff
from service.sending import claim as claiming
from service.sending import deliver, expiry, results
from service.sending.claim import Claim
from service.task_queue import queue
from service.task_queue.queue import DELIVER
from tests.fakes import FakeProvider, said
from tests.messages import Post


def message(message_id: UUID) -> Message:
    db.session.rollback()
    db.session.expire_all()
    return db.session.scalars(select(Message).where(Message.id == message_id)).one()


def attempts(message_id: UUID) -> list[Attempt]:
    query = select(Attempt).where(Attempt.message_id == message_id).order_by(Attempt.number)
    return list(db.session.scalars(query))


def failing(error: ProviderError) -> Callable[[Outbound], StatusReport]:
    def script(outbound: Outbound) -> StatusReport:
        raise error

    return script


def test_accepted_message_has_the_sid_of_the_provider(post: Post, provider: FakeProvider) -> None:
    message_id = post()
    deliver.deliver()
    shown = message(message_id)
    [attempt] = attempts(message_id)
    assert shown.status is Status.QUEUED
    assert shown.provider_sid == attempt.provider_sid == provider.sid(attempt.id)
    assert attempt.answer == "accepted"
    assert shown.submitted_at is not None


def test_message_of_an_unconfigured_provider_waits(post: Post, provider: FakeProvider) -> None:
    message_id = post(provider="gone")
    deliver.deliver()
    [attempt] = attempts(message_id)
    assert (attempt.answer, attempt.answer_text) == (
        "not_accepted",
        "the account default of gone is not configured",
    )
    assert message(message_id).status is Status.PENDING
    assert provider.on_air == []


def test_repeated_task_sends_once(post: Post, provider: FakeProvider) -> None:
    post()
    deliver.deliver()
    deliver.deliver()
    assert len(provider.on_air) == 1


def test_concurrent_workers_claim_each_message_once(context: Flask, post: Post) -> None:
    start = Barrier(6)
    for _ in range(60):
        post()

    def claim(_: int) -> list[UUID]:
        with context.app_context():
            start.wait()
            return [claimed.message.id for claimed in claiming.claim(60)]

    with ThreadPoolExecutor(6) as pool:
        claimed = [message_id for ids in pool.map(claim, range(6)) for message_id in ids]
    assert len(claimed) == len(set(claimed)) == 60


def test_no_database_connection_is_held_during_a_call(post: Post, provider: FakeProvider) -> None:
    held = []

    def script(outbound: Outbound) -> StatusReport:
        held.append(db.engine.pool.checkedout())  # type: ignore[attr-defined]
        return provider.take(outbound)

    provider.script = script
    post()
    deliver.deliver()
    assert held == [0]


def test_refusal_is_final_and_recorded(post: Post, provider: FakeProvider) -> None:
    provider.script = failing(Refused("not a mobile", "21614", {"status": 400}))
    message_id = post()
    deliver.deliver()
    deliver.deliver()
    shown = message(message_id)
    assert (shown.status, shown.error_code) == (Status.FAILED, "21614")
    assert shown.error_message == "not a mobile"
    assert [attempt.answer for attempt in attempts(message_id)] == ["refused"]


def test_message_that_was_not_accepted_is_sent_again(post: Post, provider: FakeProvider) -> None:
    provider.script = failing(NotAccepted("too many", "20429"))
    message_id = post()
    deliver.deliver()
    waiting = message(message_id)
    assert waiting.status is Status.PENDING
    assert waiting.due_at > datetime.now(UTC)

    deliver.deliver()
    assert len(attempts(message_id)) == 1, "not before its time"

    provider.script = None
    make_due(message_id)
    deliver.deliver()
    assert message(message_id).status is Status.QUEUED
    assert [attempt.answer for attempt in attempts(message_id)] == ["not_accepted", "accepted"]


def test_backoff_grows_up_to_a_limit() -> None:
    pauses = [backoff(attempt).total_seconds() for attempt in range(1, 60)]
    assert 0.5 <= pauses[0] <= 1
    assert all(30 <= pause <= 60 for pause in pauses[10:])


@pytest.mark.parametrize(
    ("asked_for", "least", "most"), [(90.0, 90, 91), (1e9, 3600, 3601), (None, 0, 1)]
)
def test_retry_after_is_obeyed_up_to_an_hour(
    post: Post, provider: FakeProvider, asked_for: float | None, least: float, most: float
) -> None:
    provider.script = failing(NotAccepted("too many", "20429", retry_after=asked_for))
    message_id = post()
    begun = datetime.now(UTC)
    deliver.deliver()
    waits = message(message_id).due_at - begun
    until = datetime.now(UTC) - begun
    assert timedelta(seconds=least) <= waits <= timedelta(seconds=most) + until


def test_message_that_is_never_accepted_is_tried_until_it_expires(
    post: Post, provider: FakeProvider
) -> None:
    provider.script = failing(NotAccepted("too many", "20429"))
    message_id = post()
    for _ in range(5):
        make_due(message_id)
        deliver.deliver()
    shown = message(message_id)
    assert (shown.status, shown.attempts, shown.tries) == (Status.PENDING, 0, 5)
    with transaction():
        db.session.execute(update(Message).values(expires_at=datetime.now(UTC)))
    expiry.expire_due()
    assert message(message_id).status is Status.EXPIRED


def test_answer_that_is_recorded_twice_ends_one_attempt(post: Post) -> None:
    """An attempt without an effect gives its number to the next one, which is under way."""
    message_id = post()
    [first] = claiming.claim(1)
    answer = Answer(
        message_id=message_id,
        client_id=first.message.client_id,
        provider="twilio",
        attempt_id=first.outbound.attempt_id,
        attempt=1,
        answered_at=datetime.now(UTC),
        error=NotAccepted("too many", "20429"),
    )
    record_answers([answer])
    make_due(message_id)
    [second] = claiming.claim(1)
    record_answers([answer])
    assert second.outbound.attempt == 1
    assert message(message_id).status is Status.SUBMITTING


def test_unknown_outcome_is_in_doubt_and_not_sent_again(post: Post, provider: FakeProvider) -> None:
    provider.script = failing(OutcomeUnknown("no answer (ReadTimeout)"))
    message_id = post()
    deliver.deliver()
    provider.script = None
    deliver.deliver()
    make_due(message_id)
    assert deliver.deliver() == 0
    assert message(message_id).status is Status.IN_DOUBT
    assert provider.on_air == []


def test_callback_ends_the_doubt_and_sets_the_sid(post: Post, provider: FakeProvider) -> None:
    """The send timed out but went out: the callback URL has the attempt id."""
    provider.script = failing(OutcomeUnknown("no answer (ReadTimeout)"))
    message_id = post()
    deliver.deliver()
    [attempt] = attempts(message_id)
    record.record([said("delivered", attempt_id=attempt.id, sid="SM1")])
    shown = message(message_id)
    assert (shown.status, shown.provider_sid) == (Status.DELIVERED, "SM1")


@pytest.mark.parametrize("word", ["sent", "delivered", "failed"])
def test_callback_before_the_answer_updates_its_message(
    post: Post, provider: FakeProvider, word: str
) -> None:
    """The provider sends the callback before it answers the send."""

    def script(outbound: Outbound) -> StatusReport:
        sid = provider.sid(outbound.attempt_id)
        record.record([said(word, attempt_id=outbound.attempt_id, sid=sid)])
        return provider.take(outbound)

    provider.script = script
    message_id = post()
    deliver.deliver()
    shown = message(message_id)
    assert shown.status == word
    assert shown.provider_sid == provider.sid(provider.on_air[0].attempt_id)


@pytest.mark.parametrize(
    "error", [NotAccepted("too many", "20429"), OutcomeUnknown("no answer"), Refused("no", "21610")]
)
def test_earlier_callback_outranks_the_result_of_the_call(
    post: Post, provider: FakeProvider, error: ProviderError
) -> None:
    """Proof of transmission outranks our verdict about the same attempt."""

    def script(outbound: Outbound) -> StatusReport:
        record.record([said("delivered", attempt_id=outbound.attempt_id, sid="SM1")])
        raise error

    provider.script = script
    message_id = post()
    deliver.deliver()
    assert message(message_id).status is Status.DELIVERED
    make_due(message_id)
    assert deliver.deliver() == 0


def test_killed_worker_leaves_a_doubt_and_no_second_send(
    post: Post, provider: FakeProvider
) -> None:
    """It is unknown whether the worker was killed before or during the call."""
    message_id = post()
    [claimed] = claiming.claim(10)  # and then it dies
    assert claiming.expire_claims() == 0, "the lease still runs"
    end_leases()
    assert claiming.expire_claims() == 1
    deliver.deliver()
    assert message(message_id).status is Status.IN_DOUBT
    assert [attempt.id for attempt in attempts(message_id)] == [claimed.outbound.attempt_id]
    assert provider.on_air == []


def test_no_call_begins_after_the_lease(post: Post, provider: FakeProvider) -> None:
    """The machine was suspended after the claim: another worker may have sent the message."""
    message_id = post()
    [claimed] = claiming.claim(10)
    late = claimed._replace(ends=datetime.now(UTC))
    record_answers([deliver._call(components(), late)])
    assert provider.on_air == []
    assert message(message_id).status is Status.PENDING, "it certainly was not sent"


def test_claim_and_attempt_are_one_transaction(
    post: Post, provider: FakeProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A claimed message without an attempt cannot be looked up."""
    message_id = post()

    def die(_: object) -> None:
        raise SystemExit

    monkeypatch.setattr("service.queries.attempts.begin", die)
    with pytest.raises(SystemExit):
        claiming.claim(10)
    assert message(message_id).status is Status.PENDING
    assert attempts(message_id) == []


def test_message_is_sent_without_a_wake_up(post: Post, redis_url: str) -> None:
    """Without a wake-up the delivery that beat enqueues claims the message."""
    message_id = post()
    with Redis.from_url(redis_url) as redis:
        redis.flushdb()
    deliver.deliver()
    assert message(message_id).status is Status.QUEUED


def test_call_during_a_delivery_leaves_the_message_to_it(
    context: Flask, post: Post, provider: FakeProvider
) -> None:
    """The delivery may have run its last claim before the message was there: it claims again."""
    calling, go_on = Event(), Event()

    def slow(outbound: Outbound) -> StatusReport:
        calling.set()
        go_on.wait(10)
        return provider.take(outbound)

    provider.script = slow
    post()
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(_deliver_in, context)
        assert calling.wait(10)
        provider.script = provider.take
        post()
        assert deliver.deliver() == 0
        go_on.set()
        assert running.result() == 2


def test_delivery_over_its_time_limit_stops_claiming(
    context: Flask, post: Post, provider: FakeProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queue, "_RUN_SECONDS", 0.01)
    enqueued = list[str]()
    monkeypatch.setattr(components().queue, "request", enqueued.append)
    calling, go_on = Event(), Event()

    def slow(outbound: Outbound) -> StatusReport:
        calling.set()
        go_on.wait(10)
        return provider.take(outbound)

    provider.script = slow
    first = post()
    with ThreadPoolExecutor(1) as pool:
        earlier = pool.submit(_deliver_in, context)
        calling.wait(10)
        provider.script = provider.take
        second = post()
        while message(second).status is Status.PENDING:  # the earlier one's time may not be up
            deliver.deliver()
        assert message(first).status is Status.SUBMITTING
        assert DELIVER in enqueued
        go_on.set()
        assert earlier.result() == 1
    assert message(first).status is Status.QUEUED


def test_delivery_enqueues_another_after_its_last_call(
    context: Flask, post: Post, provider: FakeProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queue, "_RUN_SECONDS", 0.01)
    monkeypatch.setattr(deliver, "_POLL", 0.001)
    looks, go_on, woken = list[int](), Event(), list[str]()
    look = deliver._await_some

    def counted(calls: set[Future[Answer]]) -> tuple[list[Answer], set[Future[Answer]]]:
        looks.append(len(calls))
        if len(looks) == 30:
            assert woken == [DELIVER] * 2, "the post, and the end of the time"
            go_on.set()
        return look(calls)

    def slow(outbound: Outbound) -> StatusReport:
        go_on.wait(10)
        return provider.take(outbound)

    monkeypatch.setattr(deliver, "_await_some", counted)
    monkeypatch.setattr(components().queue, "request", woken.append)
    provider.script = slow
    post()
    assert deliver.deliver() == 1
    assert woken == [DELIVER] * 3, "a slot is free"


def test_failed_delivery_records_its_answers(
    post: Post, provider: FakeProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks, failed = list[int](), Event()

    def claim_once(limit: int) -> list[Claim]:
        if looks:
            failed.set()
            raise RuntimeError("a defect")
        looks.append(limit)
        return claiming.claim(limit)

    def script(outbound: Outbound) -> StatusReport:
        failed.wait(10)
        return provider.take(outbound)

    provider.script = script
    monkeypatch.setattr(deliver, "claim", claim_once)
    message_id = post()
    with pytest.raises(RuntimeError, match="a defect"):
        deliver.deliver()
    assert message(message_id).status is Status.QUEUED

    monkeypatch.undo()
    assert deliver.deliver() == 0, "and another may claim"


def _deliver_in(app: Flask) -> int:
    with app.app_context():
        return deliver.deliver()


def test_concurrent_calls_are_limited(post: Post, provider: FakeProvider) -> None:
    lines, now, most = components().settings.worker_concurrency, 0, 0
    counting = Lock()

    def script(outbound: Outbound) -> StatusReport:
        nonlocal now, most
        with counting:
            now += 1
            most = max(most, now)
        sleep(0.02)  # long enough to overlap; nothing waits for it
        with counting:
            now -= 1
            return provider.take(outbound)

    provider.script = script
    for _ in range(3 * lines):
        post()
    assert deliver.deliver() == 3 * lines
    assert 1 < most <= lines
    assert len(provider.on_air) == 3 * lines


def test_slow_call_does_not_delay_other_answers(post: Post, provider: FakeProvider) -> None:
    """Answers to other messages are recorded while one call is slow."""
    slow, rest = post(), [post() for _ in range(5)]
    go_on = Event()

    def script(outbound: Outbound) -> StatusReport:
        if attempts_of(outbound) == slow:
            go_on.wait(10)
        return provider.take(outbound)

    def attempts_of(outbound: Outbound) -> UUID:
        query = select(Attempt.message_id).where(Attempt.id == outbound.attempt_id)
        return db.session.scalars(query).one()

    provider.script = script
    seen: list[Status] = []

    def watch() -> None:
        with go_on_at_end(), app.app_context():
            until = monotonic() + 10
            while monotonic() < until and len(seen) < len(rest):
                db.session.rollback()
                query = select(Message.status).where(Message.status == Status.QUEUED)
                seen[:] = db.session.scalars(query)

    @contextmanager
    def go_on_at_end() -> Iterator[None]:
        try:
            yield
        finally:
            go_on.set()

    app = current_app._get_current_object()  # type: ignore[attr-defined]
    with ThreadPoolExecutor(1) as pool:
        watching = pool.submit(watch)
        deliver.deliver()
        watching.result()
    assert len(seen) == len(rest), "recorded while the slow one was still waiting"
    assert message(slow).status is Status.QUEUED


def test_unrecordable_answer_does_not_affect_others(post: Post, provider: FakeProvider) -> None:
    bad, good = post(), post()

    def script(outbound: Outbound) -> StatusReport:
        report = provider.take(outbound)
        query = select(Attempt.message_id).where(Attempt.id == outbound.attempt_id)
        if db.session.scalars(query).one() == bad:
            return report._replace(raw={"unstorable": object()})
        return report

    provider.script = script
    deliver.deliver()
    assert message(good).status is Status.QUEUED
    assert message(bad).status is Status.SUBMITTING
    consume_inbox.consume_inbox()
    assert message(bad).status is Status.QUEUED, "from the inbox, without what was unstorable"


def test_answers_wait_in_the_inbox_without_a_database(
    post: Post, provider: FakeProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    message_id, settle, failures = post(), results.record_answers, iter([1])

    def away(answers: list[Answer]) -> None:
        for _ in failures:
            raise OperationalError("no answer", {}, Exception())
        settle(answers)

    monkeypatch.setattr(results, "record_answers", away)
    deliver.deliver()
    assert message(message_id).status is Status.SUBMITTING
    consume_inbox.consume_inbox()
    assert message(message_id).status is Status.QUEUED


def test_unexpected_provider_error_leaves_a_doubt(post: Post, provider: FakeProvider) -> None:
    def script(outbound: Outbound) -> StatusReport:
        raise ZeroDivisionError

    provider.script = script
    message_id = post()
    deliver.deliver()
    assert message(message_id).status is Status.IN_DOUBT


def end_leases() -> None:
    with transaction():
        past = datetime.now(UTC) - timedelta(seconds=1)
        db.session.execute(update(Message).values(claimed_until=past))


def make_due(message_id: UUID) -> None:
    past = datetime.now(UTC) - timedelta(seconds=1)
    with transaction():
        db.session.execute(update(Message).where(Message.id == message_id).values(due_at=past))
