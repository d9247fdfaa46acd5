"""Scheduled messages: scheduled at the provider if possible, else kept in the database."""

from datetime import UTC, datetime, timedelta

from sqlalchemy import select, update

from service.database import db, transaction
from service.domain.status import Status
from service.models import Message
from service.sending import deliver
from tests.fakes import FakeProvider
from tests.messages import Post

SERVICE = "MG" + "0" * 32


def _ahead(**time: float) -> datetime:
    return datetime.now(UTC) + timedelta(**time)


def _only() -> Message:
    db.session.rollback()
    db.session.expire_all()
    return db.session.scalars(select(Message)).one()


def test_service_message_is_scheduled_at_the_provider(post: Post, provider: FakeProvider) -> None:
    when = _ahead(hours=2)
    post(send_at=when, messaging_service_sid=SERVICE)
    deliver.deliver()
    assert [outbound.send_at for outbound in provider.on_air] == [when]
    assert _only().status is Status.SCHEDULED


def test_message_without_service_waits_in_the_database(post: Post, provider: FakeProvider) -> None:
    post(send_at=_ahead(hours=2))
    assert deliver.deliver() == 0
    assert provider.on_air == []

    with transaction():
        past = datetime.now(UTC) - timedelta(seconds=1)
        db.session.execute(update(Message).values(send_at=past, due_at=past))
    assert deliver.deliver() == 1
    assert [outbound.send_at for outbound in provider.on_air] == [None]


def test_send_at_too_near_for_the_provider_waits_here(post: Post, provider: FakeProvider) -> None:
    post(send_at=_ahead(seconds=120), messaging_service_sid=SERVICE)
    deliver.deliver()
    assert provider.on_air == []


def test_message_past_the_provider_window_waits_here(post: Post, provider: FakeProvider) -> None:
    """The provider can no longer schedule it, and sending it now would be minutes early."""
    post(send_at=_ahead(hours=2), messaging_service_sid=SERVICE)
    near = _ahead(seconds=200)
    with transaction():
        db.session.execute(update(Message).values(send_at=near))
    deliver.deliver()
    message = _only()
    assert provider.on_air == []
    assert (message.status, message.due_at, message.attempts) == (Status.PENDING, near, 0)
