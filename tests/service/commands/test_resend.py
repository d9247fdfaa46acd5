"""The command that sends failed messages again: its filters, its counts, and interruptions."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from click.testing import Result
from flask import Flask
from sqlalchemy import select, update

from service.database import db, transaction
from service.domain.report import StatusReport
from service.domain.status import Status
from service.errors import OutcomeUnknown, Refused
from service.models import Client, Message
from service.operations import bulk_resend
from service.operations.audit import audit
from service.providers.base import Outbound
from service.recording import record
from service.sending import deliver, expiry
from service.sending.accept import accept
from tests.fakes import FakeProvider, said
from tests.messages import Post, draft

Run = Callable[..., Result]


@pytest.fixture
def run(context: Flask) -> Run:
    def invoke(*arguments: object) -> Result:
        db.session.rollback()
        since = datetime.now(UTC) - timedelta(hours=1)
        args = ["messages", "resend", "--since", f"{since:%Y-%m-%dT%H:%M:%S}", *arguments]
        return context.test_cli_runner().invoke(args=[str(argument) for argument in args])

    return invoke


@pytest.fixture
def refused(post: Post, provider: FakeProvider) -> Callable[..., list[UUID]]:
    """Make messages that the provider refused; return their ids."""

    def make(count: int, code: str = "21211") -> list[UUID]:
        def refuse(outbound: Outbound) -> StatusReport:
            raise Refused("refused", code)

        provider.script = refuse
        ids = [post(body=f"number {number}") for number in range(count)]
        deliver.deliver()
        provider.script = None
        return ids

    return make


def statuses() -> list[Status]:
    db.session.rollback()
    return list(db.session.scalars(select(Message.status).order_by(Message.id)))


def test_failed_and_expired_messages_are_sent_again(
    run: Run, refused: Callable[..., list[UUID]], post: Post, provider: FakeProvider
) -> None:
    refused(3)
    expired = post(body="late")
    with transaction():
        gone = datetime.now(UTC) - timedelta(seconds=1)
        db.session.execute(update(Message).where(Message.id == expired).values(expires_at=gone))
    expiry.expire_due()
    result = run()
    assert result.exit_code == 0, result.output
    assert "sent again: 4" in result.output
    deliver.deliver()
    assert statuses() == [Status.QUEUED] * 4
    assert len(provider.on_air) == 4
    assert all(finding.holds for finding in audit())


def test_repeated_command_sends_no_second_copy(
    run: Run, refused: Callable[..., list[UUID]], provider: FakeProvider
) -> None:
    refused(3)
    assert "sent again: 3" in run().output
    assert "sent again: 0" in run().output
    deliver.deliver()
    assert "sent again: 0" in run().output
    assert len(provider.on_air) == 3


def test_interrupted_command_continues_where_it_was(
    run: Run,
    refused: Callable[..., list[UUID]],
    provider: FakeProvider,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    refused(5)
    monkeypatch.setattr(bulk_resend, "_BATCH", 2)
    monkeypatch.setattr("service.commands.resend._show", _interrupt)
    assert run().exit_code != 0
    assert statuses().count(Status.PENDING) == 2
    monkeypatch.undo()
    assert "sent again: 3" in run().output
    deliver.deliver()
    assert len(provider.on_air) == 5


def _interrupt(messages: int) -> None:
    raise KeyboardInterrupt


def test_dry_run_counts_and_changes_nothing(
    run: Run, refused: Callable[..., list[UUID]], provider: FakeProvider
) -> None:
    refused(2)
    output = run("--dry-run").output
    assert "would be sent again: 2" in output
    assert statuses() == [Status.FAILED] * 2


def test_error_code_selects(run: Run, refused: Callable[..., list[UUID]]) -> None:
    refused(2, code="21211")
    refused(1, code="30008")
    assert "sent again: 1" in run("--error-code", "30008").output
    assert statuses() == [Status.FAILED, Status.FAILED, Status.PENDING]


def test_time_of_acceptance_selects(run: Run, refused: Callable[..., list[UUID]]) -> None:
    refused(2)
    earlier = datetime.now(UTC) - timedelta(minutes=1)
    output = run("--until", f"{earlier:%Y-%m-%dT%H:%M:%S}").output
    assert "sent again: 0" in output


def test_client_selects(
    run: Run, refused: Callable[..., list[UUID]], provider: FakeProvider
) -> None:
    refused(1)
    with transaction():
        other = Client(name="shop", created_at=datetime.now(UTC))
        db.session.add(other)
        db.session.flush()
        other_id = other.id
    accept(other_id, [draft()])
    provider.script = _refuse
    deliver.deliver()
    assert "sent again: 1" in run("--client", "shop").output
    assert statuses() == [Status.FAILED, Status.PENDING]
    unknown = run("--client", "nobody")
    assert unknown.exit_code == 2
    assert "clients list" in unknown.output


def _refuse(outbound: Outbound) -> StatusReport:
    raise Refused("refused", "21211")


def test_limit_ends_the_command(run: Run, refused: Callable[..., list[UUID]]) -> None:
    refused(3)
    output = run("--limit", 2).output
    assert "sent again: 2" in output
    assert "stopped" in output
    last = run("--limit", 2).output
    assert "sent again: 1" in last
    assert "stopped" not in last


def test_skipped_messages_are_counted_by_reason(
    run: Run, post: Post, provider: FakeProvider, refused: Callable[..., list[UUID]]
) -> None:
    post(body="on the air"), post(body="opted out")
    deliver.deliver()
    first, second = (outbound.attempt_id for outbound in provider.on_air)
    record.record([said("sent", attempt_id=first), said("failed", attempt_id=first)])
    record.record([said("failed", attempt_id=second, error_code="21610")])
    provider.script = _fall_silent
    post(body="in doubt", to="+14155552672")
    deliver.deliver()
    with transaction():
        doubtful = update(Message).where(Message.status == Status.IN_DOUBT)
        db.session.execute(
            doubtful.values(status=Status.FAILED, final_at=datetime.now(UTC), outcome_attempt=0)
        )
    lines = run().output.splitlines()
    assert lines[0] == "sent again: 0"
    assert len([line for line in lines if line.startswith("skipped: 1, because")]) == 3
    assert "sent again: 1" in run("--confirm-duplicate").output


def _fall_silent(outbound: Outbound) -> StatusReport:
    raise OutcomeUnknown("timed out")


def test_until_before_since_is_refused(run: Run) -> None:
    result = run("--until", "2020-01-01")
    assert result.exit_code == 2
    assert "--since" in result.output
