"""Two providers on one route, and a clock that tests can put forward."""

from collections.abc import Callable, Collection
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from flask import Flask
from sqlalchemy import select, update

from service.config.routes import Route, Target
from service.database import db, transaction
from service.domain.report import StatusReport
from service.domain.status import Status
from service.errors import ProviderError
from service.models import Attempt, Hold, Message, StatusEvent
from service.providers.base import Outbound, Sender
from service.sending import deliver
from tests.fakes import FakeProvider


@dataclass
class SecondProvider(FakeProvider):
    """The provider behind the first one in the route: it has another sender."""

    name: str = "sinch"
    sender: Sender | None = field(default=Sender("+447700900001"))
    unsupported: Collection[str] = ()

    def default_sender(self) -> Sender:
        return self.sender  # type: ignore[return-value]  # as an account without one

    def owns(self, sender: Sender) -> bool:
        return sender == self.sender

    def unsupported_fields(self, to: str, fields: Collection[str]) -> list[str]:
        return sorted(set(self.unsupported) & {*fields, to.partition(":")[0]})

    def take(self, outbound: Outbound) -> StatusReport:
        return super().take(outbound)._replace(provider=self.name)


def failing(error: ProviderError) -> Callable[[Outbound], StatusReport]:
    """Return a script that answers every send with an error."""

    def script(outbound: Outbound) -> StatusReport:
        raise error

    return script


@pytest.fixture
def second(context: Flask, provider: FakeProvider, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The second provider of the route `*:twilio>sinch`."""
    bound, sinch = context.extensions["waybill"], SecondProvider()
    targets = (Target(provider="twilio"), Target(provider="sinch"))
    settings = bound.settings.model_copy(
        update={"sms_routes": (Route(prefix="*", targets=targets),)}
    )
    providers = {"twilio": provider, "sinch": sinch}
    changed = replace(bound, settings=settings, providers=providers)
    monkeypatch.setitem(context.extensions, "waybill", changed)
    return sinch


def message(message_id: UUID) -> Message:
    """Return a message as it is stored now."""
    db.session.rollback()
    db.session.expire_all()
    return db.session.get_one(Message, message_id)


def attempts(message_id: UUID) -> list[tuple[int, str, str | None]]:
    """Return number, provider and answer of each attempt, in the order of their start."""
    query = select(Attempt).where(Attempt.message_id == message_id).order_by(Attempt.id)
    return [(row.number, row.provider, row.answer) for row in db.session.scalars(query)]


def notes(message_id: UUID) -> list[tuple[str, str | None]]:
    """Return word and detail of the ledger entries without a status."""
    query = select(StatusEvent).where(StatusEvent.message_id == message_id)
    events = db.session.scalars(query.order_by(StatusEvent.id))
    return [(event.word, event.provider_time) for event in events if event.status is None]


def holds() -> list[Hold]:
    """Return all holds as they are stored now."""
    db.session.rollback()
    db.session.expire_all()
    return list(db.session.scalars(select(Hold).order_by(Hold.id)))


def later(seconds: float) -> None:
    """Advance the time: for holds, probes, backoff and the time without acceptance."""
    passed = timedelta(seconds=seconds)
    with transaction():
        for hold in db.session.scalars(select(Hold)):
            hold.started_at -= passed
            hold.probe_at = hold.probe_at and hold.probe_at - passed
            hold.ended_at = hold.ended_at and hold.ended_at - passed
        for row in db.session.scalars(select(Message).where(Message.status == Status.PENDING)):
            row.tried_since = row.tried_since and row.tried_since - passed
            row.due_at = row.due_at and row.due_at - passed
            row.expires_at = row.expires_at and row.expires_at - passed


def postpone_probes() -> None:
    """Make no message probe a hold within the next hour."""
    with transaction():
        later_on = datetime.now(UTC) + timedelta(hours=1)
        db.session.execute(update(Hold).values(probe_at=later_on))


def deliver_later(seconds: float) -> None:
    """Advance the time, then deliver what is due."""
    later(seconds)
    deliver.deliver()


def set_deadline(message_id: UUID, seconds: float) -> None:
    """Move the deadline of a message."""
    with transaction():
        expires_at = datetime.now(UTC) + timedelta(seconds=seconds)
        condition = Message.id == message_id
        db.session.execute(update(Message).where(condition).values(expires_at=expires_at))
