"""Queries on the lists of inbound messages at the providers: which to read, and how far."""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any, Final, NamedTuple, cast

from sqlalchemy import Table, select, tuple_, update

from service.database import db
from service.models import Client, ClientSender, InboundList, InboundMessage
from service.queries.dialect import any_of, insert_all

_KEY: Final = tuple_(InboundList.provider, InboundList.account, InboundList.sender)


class ListKey(NamedTuple):
    """A list: all inbound messages to a sender, or `*`, in an account of a provider."""

    provider: str
    account: str
    sender: str


def registered_senders() -> Sequence[str]:
    """Return the senders of clients, without those of test keys."""
    query = select(ClientSender.sender).join(Client, Client.id == ClientSender.client_id)
    return db.session.scalars(query.where(~Client.test)).all()


def add(keys: Collection[ListKey], now: datetime, first_read: datetime) -> None:
    """Add the lists that have no row yet: their messages from now on are read."""
    existing = set(map(ListKey._make, db.session.execute(select(*_KEY.clauses))))
    rows = [
        {
            **key._asdict(),
            "read_until": now,
            "window_end": None,
            "page": None,
            "next_at": first_read,
        }
        for key in sorted(set(keys) - existing)
    ]
    if rows:
        insert_all(cast(Table, InboundList.__table__), rows, _unless_known)


def _unless_known(statement: Any) -> Any:
    return statement.on_conflict_do_nothing()


def claim(
    keys: Collection[ListKey], now: datetime, lease_end: datetime, limit: int
) -> Sequence[InboundList]:
    """Return those of these lists that are due, longest first, and lease them."""
    query = (
        select(InboundList)
        .where(InboundList.next_at <= now, _KEY.in_(keys))
        .order_by(InboundList.next_at, InboundList.sender)
        .limit(limit)
        .with_for_update(skip_locked=True)
    )
    due = db.session.scalars(query).all()
    for each in due:
        each.next_at = lease_end
    return due


def save(leased: InboundList, **progress: datetime | str | None) -> bool:
    """Store the progress of a leased list; return False if the lease passed to another worker."""
    statement = update(InboundList).where(
        InboundList.provider == leased.provider,
        InboundList.account == leased.account,
        InboundList.sender == leased.sender,
        InboundList.next_at == leased.next_at,
    )
    stored = db.session.execute(statement.values(progress).returning(InboundList.sender))
    return stored.one_or_none() is not None


def recorded(provider: str, sids: Collection[str]) -> set[str]:
    """Return which of these SIDs are recorded."""
    query = select(InboundMessage.provider_sid).where(
        InboundMessage.provider == provider, any_of(InboundMessage.provider_sid, sids)
    )
    return set(db.session.scalars(query))
