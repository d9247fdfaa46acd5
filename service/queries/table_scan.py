"""Queries that read whole tables, a page at a time, by their keys."""

from collections.abc import Collection, Sequence
from typing import Any

from sqlalchemy import select

from service.database import Model, db
from service.models import OptOut


def page(
    model: type[Model], columns: Sequence[str], after: Any, limit: int
) -> Sequence[tuple[Any, ...]]:
    """Return the ids of the next rows past an id, each with these columns; locks nothing."""
    table: Any = model
    query = select(table.id, *(getattr(table, name) for name in columns))
    if after is not None:
        query = query.where(table.id > after)
    rows = db.session.execute(query.order_by(table.id).limit(limit)).all()
    db.session.rollback()  # nothing is held while the page is looked through
    return [tuple(row) for row in rows]


def locked(model: type[Model], ids: Collection[Any]) -> Sequence[Any]:
    """Return rows, locked in the order of their ids."""
    table: Any = model
    query = select(table).where(table.id.in_(ids)).order_by(table.id)
    return db.session.scalars(query.with_for_update()).all()


def opted_out(after: str, limit: int) -> list[str]:
    """Return the next recipients with an opt-out, past this one."""
    query = select(OptOut.to).where(OptOut.to > after).distinct().order_by(OptOut.to)
    recipients = list(db.session.scalars(query.limit(limit)))
    db.session.rollback()
    return recipients
