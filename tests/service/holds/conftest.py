"""Messages and holds as claims leave them."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from sqlalchemy import select, update

from service.database import db, transaction
from service.errors import ProviderError
from service.holds import blocks
from service.models import Hold, Message
from service.providers.base import Outbound
from tests.fakes import FakeProvider

Fail = Callable[[ProviderError | None], None]


@pytest.fixture(autouse=True)
def no_probe_by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make probes due only by `probe_now`, however slow the machine is."""
    monkeypatch.setattr(blocks, "_FIRST_PROBE", 1_000.0)


@pytest.fixture
def fail(provider: FakeProvider) -> Fail:
    """Make every send fail with an error, or succeed again."""

    def choose(error: ProviderError | None) -> None:
        def script(_: Outbound) -> None:
            assert error is not None
            raise error

        provider.script = script if error else None  # type: ignore[assignment]

    return choose


def message(message_id: UUID) -> Message:
    db.session.rollback()
    return db.session.get_one(Message, message_id, populate_existing=True)


def holds() -> list[Hold]:
    db.session.rollback()
    query = select(Hold).order_by(Hold.id).execution_options(populate_existing=True)
    return list(db.session.scalars(query))


def probe_now() -> None:
    """Make the next probe of every hold due."""
    with transaction():
        past = datetime.now(UTC) - timedelta(seconds=1)
        db.session.execute(update(Hold).where(Hold.probe_at.is_not(None)).values(probe_at=past))
