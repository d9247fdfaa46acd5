"""Search over the opt-outs of all recipients."""

from collections.abc import Collection, Sequence

from sqlalchemy import literal, select, tuple_

from service.database import db
from service.models import OptOut
from service.queries.dialect import any_of
from service.queries.opt_outs import Pair

_KEY = (OptOut.to, OptOut.sender, OptOut.provider)


def page(after: Pair | None, limit: int) -> Sequence[OptOut]:
    """Return opt-outs by recipient and sender, optionally only those behind one."""
    query = select(OptOut).where(OptOut.active).order_by(*_KEY)
    if after is not None:
        query = query.where(tuple_(*_KEY) > tuple_(*map(literal, after)))
    return db.session.scalars(query.limit(limit)).all()


def of_recipient(addresses: Collection[str], limit: int) -> Sequence[OptOut]:
    """Return the opt-outs of these recipients, by recipient and sender."""
    query = select(OptOut).where(any_of(OptOut.to, addresses), OptOut.active).order_by(*_KEY)
    return db.session.scalars(query.limit(limit)).all()
