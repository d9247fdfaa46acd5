"""Queries that read whole tables, page by page, in the order of the primary key."""

from collections.abc import Collection, Sequence
from typing import Any

from sqlalchemy import select

from service.database import Model, db
from service.models import OptOut


def page(
    model: type[Model], columns: Sequence[str], after: Any, limit: int
) -> Sequence[tuple[Any, ...]]:
    """Return id and these columns of the next rows after an id; lock nothing."""
    table: Any = model
    query = select(table.id, *(getattr(table, name) for name in columns))
    if after is not None:
        query = query.where(table.id > after)
    rows = db.session.execute(query.order_by(table.id).limit(limit)).all()
    db.session.rollback()  # keep no transaction open while the page is searched
    return [tuple(row) for row in rows]


def locked(model: type[Model], ids: Collection[Any]) -> Sequence[Any]:
    """Return rows, locked in the order of their ids."""
    table: Any = model
    query = select(table).where(table.id.in_(ids)).order_by(table.id)
    return db.session.scalars(query.with_for_update()).all()


def opted_out(after: str, limit: int) -> list[str]:
    """Return the next recipients with an opt-out after this one."""
    query = select(OptOut.to).where(OptOut.to > after).distinct().order_by(OptOut.to)
    recipients = list(db.session.scalars(query.limit(limit)))
    db.session.rollback()
    return recipients
