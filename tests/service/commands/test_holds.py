"""Commands that list, pause, resume, release and extend holds."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from click.testing import Result
from flask import Flask
from sqlalchemy import select

from service.database import db, transaction
from service.domain.scope import HoldKind
from service.domain.status import Status
from service.errors import Blocked
from service.models import Hold, Message
from service.providers.base import Outbound
from service.sending import deliver
from tests.fakes import FakeProvider
from tests.messages import Post

Run = Callable[..., Result]


@pytest.fixture
def run(context: Flask) -> Run:
    def invoke(*arguments: object) -> Result:
        db.session.rollback()
        return context.test_cli_runner().invoke(
            args=["holds", *(str(argument) for argument in arguments)]
        )

    return invoke


def message(message_id: UUID) -> Message:
    db.session.rollback()
    return db.session.get_one(Message, message_id, populate_existing=True)


def hold() -> Hold:
    db.session.rollback()
    newest = select(Hold).order_by(Hold.id.desc()).limit(1)
    return db.session.scalars(newest.execution_options(populate_existing=True)).one()


def blocked(post: Post, provider: FakeProvider) -> UUID:
    """Post a message whose account is blocked, and return its id."""

    def refuse(_: Outbound) -> None:
        raise Blocked("suspended", "20005")

    provider.script = refuse  # type: ignore[assignment]
    message_id = post()
    deliver.deliver()
    return message_id


@pytest.mark.parametrize(
    ("option", "name"),
    [
        ("--provider", "twilio"),
        ("--account", "twilio/default"),
        ("--sender", "+1 500 555 0006"),
        ("--client", "payments"),
    ],
)
def test_paused_scope_waits_until_it_is_resumed(
    run: Run, post: Post, provider: FakeProvider, option: str, name: str
) -> None:
    assert run("pause", option, name, "--reason", "maintenance").exit_code == 0
    message_id = post()
    deliver.deliver()
    assert provider.on_air == []
    assert message(message_id).hold_id == hold().id

    listed = run("list").output
    assert "maintenance" in listed
    assert "messages that wait: 1" in listed
    assert run("resume", option, name).exit_code == 0
    deliver.deliver()
    assert message(message_id).status is Status.QUEUED
    assert hold().ended_by == "command line"


@pytest.mark.parametrize(
    ("arguments", "hint"),
    [
        (("pause", "--provider", "twillio"), "twilio"),
        (("pause", "--provider", "sandbox"), "twilio"),
        (("pause", "--account", "marketing"), "twilio/default"),
        (("pause", "--account", "twilio/marketing"), "twilio/default"),
        (("pause", "--client", "nobody"), "clients list"),
        (("pause", "--sender", "not a sender!"), "sender"),
        (("pause",), "--provider"),
        (("pause", "--provider", "twilio", "--client", "payments"), "one of"),
        (("resume", "--provider", "twilio"), "not paused"),
        (("release", "999"), "no hold 999"),
        (("extend", "999", "--seconds", "60"), "no hold 999"),
        (("extend", "999"), "--until"),
    ],
)
def test_wrong_scope_is_refused_with_what_to_write(
    run: Run, client_id: int, arguments: tuple[str, ...], hint: str
) -> None:
    result = run(*arguments)
    assert result.exit_code != 0
    assert hint in result.output
    assert db.session.scalars(select(Hold)).all() == []


def test_scope_is_paused_once(run: Run, context: Flask) -> None:
    assert run("pause", "--provider", "twilio").exit_code == 0
    again = run("pause", "--provider", "twilio")
    assert again.exit_code != 0
    assert f"hold {hold().id}" in again.output


def test_released_block_sends_its_messages(run: Run, post: Post, provider: FakeProvider) -> None:
    message_id = blocked(post, provider)
    deliver.deliver()
    assert message(message_id).hold_id == hold().id
    provider.script = None
    assert run("release", hold().id).exit_code == 0
    assert hold().ended_at is not None
    deliver.deliver()
    assert message(message_id).status is Status.QUEUED
    again = run("release", hold().id)
    assert again.exit_code != 0
    assert "ended at" in again.output


def test_extended_block_is_probed_later(run: Run, post: Post, provider: FakeProvider) -> None:
    blocked(post, provider)
    assert run("extend", hold().id, "--seconds", 3600).exit_code == 0
    probe_at = hold().probe_at
    assert probe_at is not None
    assert probe_at > datetime.now(UTC) + timedelta(minutes=59)
    past = run("extend", hold().id, "--until", "2020-01-01T00:00:00")
    assert past.exit_code != 0
    assert hold().probe_at == probe_at


def test_pause_has_no_probe_to_extend(run: Run, context: Flask) -> None:
    run("pause", "--provider", "twilio")
    result = run("extend", hold().id, "--seconds", 60)
    assert result.exit_code != 0
    assert "pause" in result.output


def test_list_shows_ended_holds_of_the_last_days(run: Run, context: Flask) -> None:
    run("pause", "--provider", "twilio")
    run("resume", "--provider", "twilio")
    assert "ended" in run("list").output
    with transaction():
        long_ago = datetime.now(UTC) - timedelta(days=30)
        db.session.execute(db.update(Hold).values(ended_at=long_ago))
    assert "ended" not in run("list").output
    assert hold().kind == HoldKind.PAUSED
