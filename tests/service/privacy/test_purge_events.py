"""Purging deletes old events and their deliveries, and keeps what an endpoint is still owed."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import func, select, update

from service.database import batches, db, transaction
from service.event_feed import read as feed
from service.models import Event, Message, WebhookDelivery, WebhookEndpoint
from service.operations import audit
from service.privacy import purge
from service.recording import record
from service.sending import deliver
from service.webhooks import deliver as webhooks
from tests.fakes import FakeProvider, said
from tests.messages import Post
from tests.strategies import EPOCH

pytestmark = pytest.mark.usefixtures("events_told")

Configure = Callable[..., None]
DAY = timedelta(days=1)


@pytest.fixture
def endpoint(client_id: int) -> UUID:
    """An endpoint that gets every status."""
    endpoint = WebhookEndpoint(
        client_id=client_id,
        url="https://billing.example.com/hook",
        types=["message.updated"],
        statuses=["queued", "sent", "delivered"],
        secrets=[],
        created_at=EPOCH,
        updated_at=EPOCH,
    )
    with transaction():
        db.session.add(endpoint)
    return endpoint.id


@pytest.fixture
def told(endpoint: UUID, post: Post, provider: FakeProvider) -> UUID:
    """A message with two events, queued and delivered, each of which the endpoint is owed."""
    message_id = post()
    deliver.deliver()
    record.record([said("delivered", attempt_id=provider.on_air[-1].attempt_id)])
    assert counts() == (2, 2)
    return message_id


def counts() -> tuple[int, int]:
    """The number of events and of deliveries."""
    db.session.rollback()
    numbers = [
        db.session.scalar(select(func.count()).select_from(m)) for m in (Event, WebhookDelivery)
    ]
    db.session.rollback()
    return numbers[0] or 0, numbers[1] or 0


def change(model: type[Any], **columns: Any) -> None:
    with transaction():
        db.session.execute(update(model).values(**columns))


def age(days: float, only: str | None = None) -> None:
    with transaction():
        statement = update(Event).values(created_at=datetime.now(UTC) - timedelta(days=days))
        db.session.execute(statement if only is None else statement.where(Event.status == only))


def test_old_events_are_purged_with_their_deliveries(told: UUID, configure: Configure) -> None:
    configure(keep_events=30)
    age(30.5, "queued")
    age(29, "delivered")
    assert purge.delete_old() == 1
    assert counts() == (1, 1)


@pytest.mark.parametrize("column", ["disabled_at", "retry_at"])
def test_what_a_disabled_endpoint_is_owed_is_kept(
    told: UUID, configure: Configure, column: str
) -> None:
    """Until it is as old as the events are."""
    configure(keep_events=30)
    change(WebhookEndpoint, **{column: datetime.now(UTC) + 30 * DAY})
    age(29.9)
    assert purge.delete_old() == 0
    assert counts() == (2, 2)


def test_events_are_purged_in_batches(
    told: UUID, configure: Configure, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (purge, batches):
        monkeypatch.setattr(module, "BATCH", 1)
    age(31)
    assert purge.delete_old() == 2
    assert counts() == (0, 0)


def test_deliveries_of_a_deleted_endpoint_are_purged(told: UUID, configure: Configure) -> None:
    """The endpoint itself as late as the events: until then its id explains them."""
    change(WebhookEndpoint, deleted_at=datetime.now(UTC))
    assert purge.delete_old() == 2
    assert counts() == (2, 0)
    assert len(db.session.scalars(select(WebhookEndpoint)).all()) == 1

    change(WebhookEndpoint, deleted_at=datetime.now(UTC) - 31 * DAY)
    assert purge.delete_old() == 1
    assert db.session.scalars(select(WebhookEndpoint)).all() == []


def test_events_of_a_deleted_message_are_passed(
    told: UUID, post: Post, client_id: int, configure: Configure
) -> None:
    """Events are kept longer than messages."""
    configure(keep_messages=1e-9)
    purge.delete_old()
    assert counts() == (2, 0)
    webhooks.deliver()
    later = post()
    deliver.deliver()

    first = feed.read(client_id, None, 1)
    assert (first.events, first.more) == ([], True)
    second = feed.read(client_id, first.next, 2)
    assert [message.id for _, message in second.events] == [later]
    assert not second.more
    assert all(finding.holds for finding in audit.audit())


def test_message_with_events_is_purged_alone(told: UUID, configure: Configure) -> None:
    """A message that is under way is kept, with what is owed."""
    configure(keep_messages=1e-9)
    change(Message, final_at=None)
    assert purge.delete_old() == 0
    assert counts() == (2, 2)
