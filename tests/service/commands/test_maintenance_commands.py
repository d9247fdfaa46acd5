"""The commands for the one at the keyboard at night."""

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
from service.recording import consume_inbox, record
from service.sending import deliver
from tests.fakes import FakeProvider, said
from tests.messages import Post

Run = Callable[..., Result]


@pytest.fixture
def run(context: Flask) -> Run:
    def invoke(*arguments: object) -> Result:
        db.session.rollback()
        return context.test_cli_runner().invoke(args=[str(one) for one in arguments])

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


def test_explain_tells_attempts_events_and_what_comes_next(
    run: Run, sent: UUID, provider: FakeProvider
) -> None:
    record.record([said("sent", attempt_id=provider.on_air[0].attempt_id)])
    told = run("explain", sent).output
    assert f"Message {sent} is sent." in told
    assert "attempt 1: accepted" in told
    assert "callback" in told
    assert "Next: the provider is asked at" in told


@pytest.mark.parametrize(
    ("columns", "line"),
    [
        ({"status": Status.PENDING}, "a send worker"),
        ({"status": Status.SUBMITTING}, "the answer to its call"),
        ({"status": Status.IN_DOUBT, "check_at": None}, "a person"),
        ({"status": Status.IN_DOUBT}, "look-up 1 of 5"),
        ({"unknown_since": datetime(2026, 1, 1, tzinfo=UTC)}, "its outcome is unknown"),
        ({"status": Status.DELIVERED}, "It waits for nothing."),
    ],
)
def test_explain_says_what_a_message_waits_for(
    run: Run, sent: UUID, columns: dict[str, object], line: str
) -> None:
    spoil(**columns)
    assert line in run("explain", sent).output


def test_explain_of_nothing_says_so(run: Run) -> None:
    assert "no such message" in run("explain", UUID(int=1)).output


def test_an_audit_of_sound_accounts_exits_well(run: Run, sent: UUID, post: Post) -> None:
    post()
    audited = run("audit")
    assert audited.exit_code == 0, audited.output
    assert "accepted 2 = final 0 + in flight 2 + in doubt 0" in audited.output
    assert "NOT" not in audited.output


LONG_AGO = datetime.now(UTC) - timedelta(hours=1)


@pytest.mark.parametrize(
    ("columns", "claim"),
    [
        ({"status": Status.SUBMITTING, "claimed_until": LONG_AGO}, "outlived their lease: 1"),
        ({"status": Status.PENDING, "due_at": LONG_AGO}, "nobody claimed: 1"),
        ({"status": Status.IN_DOUBT, "check_at": LONG_AGO}, "beyond their deadline: 1"),
        ({"status": Status.READ}, "something else than their ledger: 1"),
        ({"error_code": "30003"}, "something else than their ledger: 1"),
        ({"provider_sid": "SMother"}, "something else than their ledger: 1"),
    ],
)
def test_an_audit_finds_what_is_wrong_and_exits_badly(
    run: Run, sent: UUID, columns: dict[str, object], claim: str
) -> None:
    spoil(**columns)
    audited = run("audit")
    assert audited.exit_code == 1
    assert claim in audited.output


def test_an_audit_in_pieces_finds_the_same(
    run: Run, post: Post, provider: FakeProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The size of a piece changes no count."""
    for _ in range(7):
        post()
    deliver.deliver()
    attempts = [one.attempt_id for one in provider.on_air]
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
        shared = [db.session.get_one(Attempt, one) for one in attempts[4:6]]
        for one in shared:
            one.provider_sid = "SMshared"
        db.session.get_one(Message, shared[0].message_id).status = Status.IN_DOUBT
    found = {}
    for piece in (10_000, 3, 1):
        monkeypatch.setattr(audit, "PIECE", piece)
        found[piece] = run("audit").output.splitlines()

    assert "ok   accepted 7 = final 4 + in flight 2 + in doubt 1" in found[1]
    assert "NOT  SIDs that two attempts claim: 1" in found[1]
    assert "ok   callbacks missed, their statuses asked for: 4" in found[1]
    assert "ok   for a person: 0 in doubt, 3 dead letters" in found[1]
    assert found[1] == found[3] == found[10_000]


def test_an_audit_counts_the_callbacks_that_never_came(
    run: Run, sent: UUID, provider: FakeProvider
) -> None:
    attempt = provider.on_air[0].attempt_id
    asked = said("delivered", attempt_id=attempt, source=Source.RECONCILIATION)
    record.record([asked])
    assert "callbacks missed, their statuses asked for: 1" in run("audit").output
    record.record([said("delivered", attempt_id=attempt, source=Source.CALLBACK)])
    assert "callbacks missed, their statuses asked for: 0" in run("audit").output


def test_rebuild_reports_differences_and_mends_them_when_asked(run: Run, sent: UUID) -> None:
    spoil(status=Status.READ, error_code="1")
    assert "1 messages differ" in run("rebuild").output
    assert status(sent) is Status.READ, "it only looked"
    assert "mended" in run("rebuild", "--write").output
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
    consume_inbox.drain()
    assert "0 dead letters" in run("dead-letters", "list").output


def test_a_replay_names_its_letters_or_takes_them_all(run: Run) -> None:
    assert run("dead-letters", "replay").exit_code == 2
    assert run("dead-letters", "replay", "1", "--all").exit_code == 2


def test_reconcile_asks_about_one_message_or_all_since(
    run: Run, sent: UUID, provider: FakeProvider
) -> None:
    provider.answer = lambda attempt, sid: said("delivered", attempt_id=attempt, sid=sid)
    assert "asked about 1 messages" in run("reconcile", "--message", sent).output
    assert status(sent) is Status.DELIVERED
    spoil(status=Status.SENT)
    assert "asked about 1 messages" in run("reconcile", "--since", "2026-01-01").output
    assert run("reconcile").exit_code == 2


def test_a_person_resolves_what_look_ups_cannot(
    run: Run, post: Post, provider: FakeProvider
) -> None:
    first, second = doubtful(post, provider), doubtful(post, provider)
    provider.answer = lambda attempt, sid: said("sent", attempt_id=attempt, sid=sid)
    sid = provider.sid(provider.on_air[0].attempt_id)
    assert "is sent" in run("resolve", first, "--sid", sid).output
    assert "is failed" in run("resolve", second, "--not-sent").output
    assert (status(first), status(second)) == (Status.SENT, Status.FAILED)
    assert "no longer in doubt" in run("resolve", first, "--not-sent").output
