"""Answers of providers are kept in the inbox while the database is unavailable."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID, uuid4

import pytest
from flask import Flask
from redis import Redis
from sqlalchemy import select, update
from sqlalchemy.exc import OperationalError

from service.components import components
from service.database import db, transaction
from service.domain.report import Price
from service.domain.scope import Scope
from service.domain.status import Status
from service.errors import (
    Blocked,
    InboxUnavailable,
    NoRoute,
    NotAccepted,
    OutcomeUnknown,
    ProviderError,
    Refused,
)
from service.models import Attempt, DeadLetter, Message
from service.providers.base import Callback, Outbound
from service.queries import callbacks
from service.recording import consume_inbox
from service.recording.answers import ANSWER, Answer, packed, unpacked
from service.sending import claim, deliver, results
from tests.fakes import FakeProvider, said
from tests.messages import Post

AWAY = OperationalError("SELECT 1", {}, Exception("the database is away"))
REFUSAL = Refused("not a mobile", "21614", {"status": 400, "code": 21614})
OUTCOMES = {
    "accepted": (None, Status.QUEUED, None),
    "refused": (REFUSAL, Status.FAILED, "21614"),
    "not_accepted": (NotAccepted("too many", "20429"), Status.PENDING, None),
    "unknown": (OutcomeUnknown("no answer"), Status.IN_DOUBT, None),
}
kinds = pytest.mark.parametrize("kind", OUTCOMES)


@contextmanager
def away() -> Iterator[None]:
    """Make recording of answers fail with a lost database connection."""

    def fail(_: object) -> None:
        raise AWAY

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(results, "record_answers", fail)
        yield


@pytest.fixture
def answer(provider: FakeProvider) -> Callable[[str], None]:
    """Set the kind of the provider's answer."""

    def choose(kind: str) -> None:
        error = OUTCOMES[kind][0]

        def script(outbound: Outbound) -> Any:
            if error is not None:
                raise error
            return provider.take(outbound)

        provider.script = script

    return choose


def message(message_id: UUID) -> Message:
    db.session.rollback()
    db.session.expire_all()
    return db.session.get_one(Message, message_id)


def attempt_of(message_id: UUID) -> Attempt:
    return db.session.scalars(select(Attempt).where(Attempt.message_id == message_id)).one()


def end_leases() -> None:
    with transaction():
        past = datetime.now(UTC) - timedelta(seconds=1)
        db.session.execute(update(Message).values(claimed_until=past))


@kinds
def test_answer_is_recorded_when_the_database_is_back(
    post: Post, answer: Callable[[str], None], kind: str
) -> None:
    answer(kind)
    message_id = post()
    with away():
        deliver.deliver()
    assert message(message_id).status is Status.SUBMITTING
    assert components().inbox.lag() == 1

    consume_inbox.consume_inbox()
    assert components().inbox.lag() == 0
    shown, attempt = message(message_id), attempt_of(message_id)
    _, status, code = OUTCOMES[kind]
    assert (shown.status, shown.error_code) == (status, code)
    assert attempt.answer == kind
    assert shown.claimed_until is None
    if kind == "accepted":
        assert shown.provider_sid == attempt.provider_sid == f"SM{attempt.id.hex}"
    if kind == "not_accepted":
        assert shown.due_at is not None


@kinds
def test_answer_after_the_end_of_its_claim_wins(
    post: Post, answer: Callable[[str], None], kind: str
) -> None:
    answer(kind)
    message_id = post()
    with away():
        deliver.deliver()
    with transaction():
        db.session.execute(update(Message).values(status=Status.IN_DOUBT, claimed_until=None))
    consume_inbox.consume_inbox()
    assert message(message_id).status is OUTCOMES[kind][1]


def test_no_claim_ends_in_doubt_while_its_answer_waits(
    post: Post, answer: Callable[[str], None]
) -> None:
    answer("accepted")
    message_id = post()
    with away():
        deliver.deliver()
    with transaction():
        # The lease ends after the answer was put into the inbox.
        soon = datetime.now(UTC) + timedelta(milliseconds=20)
        db.session.execute(update(Message).values(claimed_until=soon))
    while datetime.now(UTC) <= soon:
        pass
    assert claim.expire_claims() == 0
    consume_inbox.consume_inbox()
    assert claim.expire_claims() == 0
    assert message(message_id).status is Status.QUEUED


def test_claim_ends_in_doubt_when_the_inbox_is_read(post: Post) -> None:
    message_id = post()
    claim.claim(1)
    end_leases()
    components().inbox.put(Callback("twilio", "", b"MessageSid=SM1", datetime.now(UTC)))
    assert claim.expire_claims() == 1, "what waits came after the end of the claim"
    assert message(message_id).status is Status.IN_DOUBT


def test_answer_is_held_while_database_and_inbox_are_away(
    post: Post, answer: Callable[[str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    answer("accepted")
    message_id, settle, failures = post(), results.record_answers, iter(range(4))
    monkeypatch.setattr(results, "_RETRY_SECONDS", 0.01)

    def fail_at_first(answers: Any) -> None:
        for _ in failures:
            raise AWAY
        settle(answers)

    def full(_inbox: object, _callback: Callback) -> None:
        raise InboxUnavailable("full")

    monkeypatch.setattr(results, "record_answers", fail_at_first)
    monkeypatch.setattr(type(components().inbox), "put", full)
    deliver.deliver()
    assert message(message_id).status is Status.QUEUED


def test_answer_is_recorded_once_when_its_commit_seemed_to_fail(
    post: Post, answer: Callable[[str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    answer("not_accepted")
    message_id, settle = post(), results.record_answers

    def commit_and_fail(answers: Any) -> None:
        settle(answers)
        raise AWAY

    with monkeypatch.context() as patched:
        patched.setattr(results, "record_answers", commit_and_fail)
        deliver.deliver()
    due_at = message(message_id).due_at
    consume_inbox.consume_inbox()
    assert (message(message_id).status, message(message_id).due_at) == (Status.PENDING, due_at)


def test_unrecordable_answer_is_a_dead_letter_to_replay(
    post: Post, answer: Callable[[str], None], app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer("accepted")
    message_id = post()

    def broken(_: object) -> None:
        raise ZeroDivisionError

    with monkeypatch.context() as patched:
        patched.setattr(results, "record_answers", broken)
        patched.setattr(consume_inbox, "record_answers", broken)
        deliver.deliver()
        consume_inbox.consume_inbox()
    db.session.rollback()
    [letter] = db.session.scalars(select(DeadLetter))
    assert (letter.provider, letter.attempt) == (ANSWER, str(attempt_of(message_id).id))
    listed = app.test_cli_runner().invoke(args=["dead-letters", "list"])
    assert "ZeroDivisionError" in listed.output
    assert app.test_cli_runner().invoke(args=["dead-letters", "replay", "--all"]).exit_code == 0
    consume_inbox.consume_inbox()
    assert message(message_id).status is Status.QUEUED


def test_answer_in_the_inbox_holds_no_text_and_no_number(
    post: Post, provider: FakeProvider, redis_url: str
) -> None:
    def script(outbound: Outbound) -> Any:
        report = provider.take(outbound)
        return report._replace(raw={"word": "queued", "body": "secret text", "to": outbound.to})

    provider.script = script
    post(body="secret text")
    with away():
        deliver.deliver()
    with Redis.from_url(redis_url) as redis:
        [(_, entry)] = redis.xrange("waybill:inbox")
    assert b"secret text" not in entry[b"b"]
    assert b"4155552671" not in entry[b"b"]
    assert b"queued" in entry[b"b"]


def test_callbacks_and_answers_are_recorded_from_one_batch(
    post: Post, answer: Callable[[str], None]
) -> None:
    answer("accepted")
    message_id = post()
    with away():
        deliver.deliver()
    attempt = attempt_of(message_id)
    body = f"MessageSid=SM{attempt.id.hex}&MessageStatus=delivered".encode()
    components().inbox.put(Callback("twilio", str(attempt.id), body, datetime.now(UTC)))
    assert consume_inbox.consume_inbox() == 2
    assert message(message_id).status is Status.DELIVERED


def test_answer_cannot_be_posted_as_a_callback(app: Flask) -> None:
    posted = app.test_client().post(f"/callbacks/{ANSWER}/{uuid4()}", data=b"{}")
    assert posted.status_code == 404


ERRORS: dict[str, ProviderError | None] = {
    "none": None,
    "refused": REFUSAL,
    "no_route": NoRoute("no pair", "21612", {"status": 400, "code": 21612}),
    "blocked_account": Blocked("inactive", "20005", {"status": 403, "code": 20005}),
    "blocked_country": Blocked("not enabled", "21408", scope=Scope.COUNTRY),
    "not_accepted": NotAccepted("too many", "20429", retry_after=30.0),
    "unknown": OutcomeUnknown("no answer (ReadTimeout)"),
}


@pytest.mark.usefixtures("context")
@pytest.mark.parametrize("error", ERRORS.values(), ids=ERRORS)
def test_answer_is_unchanged_by_the_inbox(error: ProviderError | None) -> None:
    report = said("delivered", attempt_id=uuid4(), sid="SM1")._replace(
        price=Price(Decimal("-0.0075"), "USD"), segments=2, provider_time="2611260000"
    )
    went = Answer(
        *(uuid4(), 7, "twilio", uuid4(), 3, datetime.now(UTC), "marketing", 5, (3, 4), "FR"),
        began=False,
        to_next=True,
        report=None if error else report,
        error=error,
        expires_at=datetime.now(UTC),
    )
    came = unpacked(packed(went))
    assert came._replace(error=None) == went._replace(error=None)
    assert type(came.error) is type(error)
    if came.error and error:
        assert {**vars(came.error), "raw": None} == {**vars(error), "raw": None}
        assert type(getattr(came.error, "scope", None)) is type(getattr(error, "scope", None))


@pytest.mark.usefixtures("context")
def test_answer_of_another_version_is_a_dead_letter() -> None:
    body = json.dumps({"version": 99}).encode()
    consume_inbox.record_callbacks([Callback(ANSWER, str(uuid4()), body, datetime.now(UTC))])
    db.session.rollback()
    assert [letter.body for letter in callbacks.dead_letters(10)] == [body]
