"""Commands that explain, audit, rebuild, replay, reconcile and resolve."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from click.testing import Result
from flask import Flask
from sqlalchemy import select, update

from service.components import components
from service.database import db, transaction
from service.domain.report import Source, StatusReport
from service.domain.status import Status
from service.errors import OutcomeUnknown
from service.models import Attempt, DeadLetter, Message
from service.providers.base import Callback, Outbound
from service.queries import audit
from service.queries.dialect import is_postgresql
from service.recording import consume_inbox, record
from service.sending import deliver
from tests.fakes import FakeProvider, said
from tests.messages import Post

Run = Callable[..., Result]


@pytest.fixture
def run(context: Flask) -> Run:
    def invoke(*arguments: object) -> Result:
        db.session.rollback()
        return context.test_cli_runner().invoke(args=[str(argument) for argument in arguments])

    return invoke


@pytest.fixture
def sent(post: Post, provider: FakeProvider) -> UUID:
    message_id = post()
    deliver.deliver()
    return message_id


def doubtful(post: Post, provider: FakeProvider) -> UUID:
    def lost(outbound: Outbound) -> StatusReport:
        provider.take(outbound)
        raise OutcomeUnknown("no answer")

    provider.script = lost
    message_id = post()
    deliver.deliver()
    provider.script = None
    return message_id


def status(message_id: UUID) -> Status:
    db.session.rollback()
    return db.session.scalars(select(Message.status).where(Message.id == message_id)).one()


def spoil(**columns: object) -> None:
    with transaction():
        db.session.execute(update(Message).values(columns))


def test_explain_shows_attempts_events_and_next_step(
    run: Run, sent: UUID, provider: FakeProvider
) -> None:
    record.record([said("sent", attempt_id=provider.on_air[0].attempt_id)])
    output = run("explain", sent).output
    assert f"Message {sent} is sent." in output
    assert "attempt 1: accepted" in output
    assert "callback" in output
    assert "Next: the provider is polled at" in output


@pytest.mark.parametrize(
    ("columns", "line"),
    [
        ({"status": Status.PENDING}, "a send worker"),
        ({"status": Status.SUBMITTING}, "the provider's answer to the send"),
        ({"status": Status.IN_DOUBT, "check_at": None}, "a decision"),
        ({"status": Status.IN_DOUBT}, "look-up 1 of 5"),
        ({"unknown_since": datetime(2026, 1, 1, tzinfo=UTC)}, "an unknown outcome"),
        ({"status": Status.DELIVERED}, "It waits for nothing."),
    ],
)
def test_explain_shows_what_a_message_waits_for(
    run: Run, sent: UUID, columns: dict[str, object], line: str
) -> None:
    spoil(**columns)
    assert line in run("explain", sent).output


def test_explain_reports_an_unknown_message(run: Run) -> None:
    assert "no such message" in run("explain", UUID(int=1)).output


def test_audit_without_findings_exits_with_0(run: Run, sent: UUID, post: Post) -> None:
    post()
    audited = run("audit")
    assert audited.exit_code == 0, audited.output
    assert "accepted 2 = final 0 + in flight 2 + in doubt 0" in audited.output
    assert "NOT" not in audited.output


LONG_AGO = datetime.now(UTC) - timedelta(hours=1)


@pytest.mark.parametrize(
    ("columns", "claim"),
    [
        (
            {"status": Status.SUBMITTING, "claimed_until": LONG_AGO},
            "expired claims that were not released: 1",
        ),
        ({"status": Status.PENDING, "due_at": LONG_AGO}, "due messages that no worker claimed: 1"),
        ({"status": Status.IN_DOUBT, "check_at": LONG_AGO}, "an overdue look-up: 1"),
        ({"status": Status.IN_DOUBT, "check_at": None}, "need a person: 1 in doubt"),
        ({"status": Status.READ}, "differ from their ledger: 1"),
        ({"error_code": "30003"}, "differ from their ledger: 1"),
        ({"provider_sid": "SMother"}, "differ from their ledger: 1"),
    ],
)
def test_audit_with_findings_exits_with_1(
    run: Run, sent: UUID, columns: dict[str, object], claim: str
) -> None:
    spoil(**columns)
    audited = run("audit")
    assert audited.exit_code == 1
    assert claim in audited.output


def test_audit_does_not_depend_on_the_batch_size(
    run: Run, post: Post, provider: FakeProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The size of a piece changes no count."""
    for _ in range(7):
        post()
    deliver.deliver()
    attempts = [outbound.attempt_id for outbound in provider.on_air]
    for attempt in attempts[:4]:
        record.record([said("sent", attempt_id=attempt, source=Source.CALLBACK)])
        for code in (None, "30008"):  # asked twice: missed once
            missed = said(
                "undelivered", attempt_id=attempt, source=Source.RECONCILIATION, error_code=code
            )
            record.record([missed])
    consume_inbox.record_callbacks([Callback("twilio", "", b"poison", datetime.now(UTC))] * 3)
    record.record([said("sent", sid=f"SM{number}") for number in range(5)])
    with transaction():
        shared = [db.session.get_one(Attempt, attempt) for attempt in attempts[4:6]]
        for attempt in shared:
            attempt.provider_sid = "SMshared"
        db.session.get_one(Message, shared[0].message_id).status = Status.IN_DOUBT
    outputs = {}
    for piece in (10_000, 3, 1):
        monkeypatch.setattr(audit, "BATCH", piece)
        outputs[piece] = run("audit").output.splitlines()

    assert "ok   accepted 7 = final 4 + in flight 2 + in doubt 1" in outputs[1]
    assert "NOT  SIDs that belong to two attempts: 1" in outputs[1]
    assert "ok   missed callbacks, found by polling: 4" in outputs[1]
    assert "ok   need a person: 0 in doubt, 3 dead letters" in outputs[1]
    assert outputs[1] == outputs[3] == outputs[10_000]


def test_audit_counts_missed_callbacks(run: Run, sent: UUID, provider: FakeProvider) -> None:
    attempt = provider.on_air[0].attempt_id
    report = said("delivered", attempt_id=attempt, source=Source.RECONCILIATION)
    record.record([report])
    assert "missed callbacks, found by polling: 1" in run("audit").output
    record.record([said("delivered", attempt_id=attempt, source=Source.CALLBACK)])
    assert "missed callbacks, found by polling: 0" in run("audit").output


def test_rebuild_lists_differences_and_corrects_with_write(run: Run, sent: UUID) -> None:
    spoil(status=Status.READ, error_code="1")
    assert "1 messages differ" in run("rebuild").output
    assert status(sent) is Status.READ, "without --write nothing changes"
    assert "corrected" in run("rebuild", "--write").output
    assert status(sent) is Status.QUEUED
    assert "0 messages differ" in run("rebuild").output


def test_dead_letters_are_listed_and_replayed(run: Run, sent: UUID) -> None:
    consume_inbox.record_callbacks([Callback("twilio", "", b"poison", datetime.now(UTC))])
    listed = run("dead-letters", "list").output
    assert "ZeroDivisionError" in listed
    assert "1 dead letters" in listed
    with transaction():
        db.session.execute(update(DeadLetter).values(body=b"MessageSid=SM1&MessageStatus=sent"))
    assert "replayed 1" in run("dead-letters", "replay", "--all").output
    assert components().inbox.lag() == 1
    consume_inbox.consume_inbox()
    assert "0 dead letters" in run("dead-letters", "list").output


def test_replay_needs_either_numbers_or_all(run: Run) -> None:
    assert run("dead-letters", "replay").exit_code == 2
    assert run("dead-letters", "replay", "1", "--all").exit_code == 2


def test_reconcile_polls_one_message_or_all_since(
    run: Run, sent: UUID, provider: FakeProvider
) -> None:
    provider.answer = lambda attempt, sid: said("delivered", attempt_id=attempt, sid=sid)
    assert "asked about 1 messages" in run("reconcile", "--message", sent).output
    assert status(sent) is Status.DELIVERED
    spoil(status=Status.SENT)
    assert "asked about 1 messages" in run("reconcile", "--since", "2026-01-01").output
    assert run("reconcile").exit_code == 2


def test_resolve_sets_the_outcome_of_a_message_in_doubt(
    run: Run, post: Post, provider: FakeProvider
) -> None:
    first, second = doubtful(post, provider), doubtful(post, provider)
    provider.answer = lambda attempt, sid: said("sent", attempt_id=attempt, sid=sid)
    sid = provider.sid(provider.on_air[0].attempt_id)
    assert "is sent" in run("resolve", first, "--sid", sid).output
    assert "is failed" in run("resolve", second, "--not-sent").output
    assert (status(first), status(second)) == (Status.SENT, Status.FAILED)
    assert "no longer in doubt" in run("resolve", first, "--not-sent").output


def test_partitions_of_the_ledger_are_listed(run: Run) -> None:
    result = run("ledger", "partitions")
    assert result.exit_code == 0, result.output
    names = [line.split()[0] for line in result.output.splitlines()]
    expected = {"status_event_rest", "status_event_future"} if is_postgresql() else set()
    assert expected <= set(names)
