"""Queries that read whole tables, page by page, in the order of the primary key."""

from collections.abc import Collection, Sequence
from typing import Any

from sqlalchemy import Select, inspect, select

from service.database import Model, db
from service.models import OptOut


def page(
    model: type[Model], columns: Sequence[str], after: Any, limit: int
) -> Sequence[tuple[Any, ...]]:
    """Return key and these columns of the next rows after a key; lock nothing."""
    key = _key(model)
    query = select(key, *(getattr(model, name) for name in columns))
    if after is not None:
        query = query.where(key > after)
    rows = db.session.execute(query.order_by(key).limit(limit)).all()
    db.session.rollback()  # keep no transaction open while the page is searched
    return [tuple(row) for row in rows]


def locked(model: type[Model], keys: Collection[Any]) -> Sequence[Any]:
    """Return rows, locked in the order of their keys."""
    key = _key(model)
    query: Select[Any] = select(model).where(key.in_(keys)).order_by(key)
    return db.session.scalars(query.with_for_update()).all()


def opted_out(after: str, limit: int) -> list[str]:
    """Return the next recipients with an opt-out after this one."""
    query = select(OptOut.to).where(OptOut.to > after).distinct().order_by(OptOut.to)
    recipients = list(db.session.scalars(query.limit(limit)))
    db.session.rollback()
    return recipients


def _key(model: type[Model]) -> Any:
    """Return the column that identifies a row: of the ledger `identity`, else `id`."""
    [key] = inspect(model).primary_key
    return key
