"""The page of holds, its buttons, and holds on the overview and on the page of a message."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from flask import Flask
from sqlalchemy import select, update

from service.database import db, transaction
from service.domain.scope import HoldKind, Scope
from service.domain.status import Status
from service.errors import Blocked, NotAccepted
from service.models import Attempt, Hold, Message
from service.operations import holds as operations
from service.operations import timeline
from service.providers.base import Outbound
from service.queries import holds as queries
from service.sending import deliver
from tests.fakes import FakeProvider
from tests.messages import Post
from tests.service.web.ops.conftest import Operator


def hold() -> Hold:
    db.session.rollback()
    newest = select(Hold).order_by(Hold.id.desc()).limit(1)
    return db.session.scalars(newest.execution_options(populate_existing=True)).one()


def message(message_id: UUID) -> Message:
    db.session.rollback()
    return db.session.get_one(Message, message_id, populate_existing=True)


@pytest.fixture
def blocked(context: Flask, post: Post, provider: FakeProvider) -> UUID:
    """A message that waits because its account is suspended."""

    def refuse(_: Outbound) -> None:
        raise Blocked("suspended", "20005")

    provider.script = refuse  # type: ignore[assignment]
    message_id = post()
    deliver.deliver()
    provider.script = None
    return message_id


def test_page_shows_why_messages_wait(operator: Operator, blocked: UUID) -> None:
    page = operator.get("/holds").text
    for part in ("account twilio/default", "blocked", "20005", "Explained: 20005.", "<b>1</b>"):
        assert part in page
    assert "Next probe" in page


def test_pause_and_resume_with_buttons(
    context: Flask, operator: Operator, post: Post, provider: FakeProvider
) -> None:
    form = {"kind": "provider", "name": "twilio", "reason": "maintenance <b>", "confirmed": "yes"}
    assert operator.post("/holds/pause", **form).location == "/ops/holds"
    assert (hold().kind, hold().started_by) == (HoldKind.PAUSED, "ada")
    message_id = post()
    deliver.deliver()
    assert message(message_id).hold_id == hold().id
    page = operator.get("/holds").text
    assert "maintenance &lt;b&gt;" in page
    operator.post(f"/holds/{hold().id}/release")
    assert hold().ended_by == "ada"
    deliver.deliver()
    assert message(message_id).status is Status.QUEUED
    assert "ended by ada" in operator.get("/holds").text


@pytest.mark.parametrize(
    ("form", "hint"),
    [
        ({"kind": "provider", "name": "twillio"}, "twilio"),
        ({"kind": "account", "name": "twilio"}, "twilio/default"),
        ({"kind": "country", "name": "SE"}, "Choose"),
        ({"kind": "client", "name": ""}, "Choose"),
        ({"kind": "client", "name": "nobody"}, "no client"),
        ({"kind": "provider", "name": "twilio", "confirmed": ""}, "Confirm"),
        ({"kind": "provider", "name": "twilio", "reason": "x" * 501}, "500"),
    ],
)
def test_wrong_pause_is_explained(
    context: Flask, operator: Operator, form: dict[str, str], hint: str
) -> None:
    operator.post("/holds/pause", **{"confirmed": "yes", **form})
    assert hint in operator.get("/holds").text
    assert db.session.scalars(select(Hold)).all() == []


def test_release_of_an_ended_hold_is_explained(
    context: Flask, operator: Operator, blocked: UUID
) -> None:
    number = hold().id
    operator.post(f"/holds/{number}/release")
    operator.get("/holds")
    operator.post(f"/holds/{number}/release")
    assert f"Hold {number} ended at" in operator.get("/holds").text


def test_probe_is_postponed_by_minutes(operator: Operator, blocked: UUID) -> None:
    number = hold().id
    operator.post(f"/holds/{number}/extend", minutes="90")
    probe_at = hold().probe_at
    assert probe_at is not None
    assert timedelta(minutes=89) < probe_at - datetime.now(UTC) < timedelta(minutes=91)
    for minutes in ("", "0", "-1", "ten", "99999999999999", "²"):
        operator.post(f"/holds/{number}/extend", minutes=minutes)
    assert hold().probe_at == probe_at


def test_overview_is_critical_while_an_account_is_blocked(
    operator: Operator, blocked: UUID, fresh_overview: Callable[[], str]
) -> None:
    page = fresh_overview()
    assert "Critical" in page
    assert "Blocked since" in page
    assert "account twilio/default (code 20005); 1 message waits" in page


def test_overview_names_a_pause_and_a_silent_account(
    context: Flask, operator: Operator, fresh_overview: Callable[[], str]
) -> None:
    operations.pause("provider", "twilio", "maintenance", "ada")
    with transaction():
        key = (Scope.ACCOUNT, "twilio", "default", "")
        now = datetime.now(UTC)
        queries.open_hold(key, HoldKind.NOT_ACCEPTING, "20429", "too many", now)
    page = fresh_overview()
    assert "by ada: provider twilio" in page
    assert "No message accepted since" not in page  # for some seconds that is normal
    with transaction():
        db.session.execute(update(Hold).values(started_at=now - timedelta(minutes=2)))
    assert "No message accepted since" in fresh_overview()


def test_message_page_names_its_hold(operator: Operator, blocked: UUID) -> None:
    page = operator.get(f"/messages/{blocked}").text
    assert "the provider account is blocked by the provider (error 20005)" in page
    assert "one message tries the block at" in page
    assert "blocked by twilio/default" in page


@pytest.mark.slow
def test_hundreds_of_attempts_without_effect_are_one_entry(
    context: Flask, operator: Operator, post: Post, provider: FakeProvider
) -> None:
    def refuse(_: Outbound) -> None:
        raise NotAccepted("too many", "20429")

    provider.script = refuse  # type: ignore[assignment]
    message_id = post()
    for _ in range(37):
        with transaction():
            db.session.execute(update(Message).values(due_at=datetime.now(UTC), tried_since=None))
        deliver.deliver()
    attempts = db.session.scalars(select(Attempt.number)).all()
    assert sorted(attempts) == list(range(-37, 0))
    explained = list(timeline.explain(message_id))
    assert not [line for line in explained if "attempt -" in line]
    lines = [line for line in explained if "not accepted" in line]
    assert len(lines) == 1
    assert "37 times since" in lines[0]
    assert "20429" in lines[0]
    assert "37 times since" in operator.get(f"/messages/{message_id}").text
