"""List active opt-outs in pages, each along one index."""

from collections.abc import Collection, Sequence

from sqlalchemy import ColumnElement, Select, select, tuple_

from service.database import db
from service.models import OptOut
from service.providers.sandbox import SANDBOX
from service.queries.dialect import any_of
from service.queries.opt_outs import Pair


def of_person(
    addresses: Collection[str], sender: str | None = None, *, test: bool = False
) -> Sequence[OptOut]:
    """Return the opt-outs of a person: a handful. `test`: those that test keys made."""
    query = _active(test=test).where(any_of(OptOut.to, addresses))
    if sender is not None:
        query = query.where(OptOut.sender == sender)
    return db.session.scalars(query.order_by(OptOut.to, OptOut.sender, OptOut.provider)).all()


def page(
    limit: int,
    after: Pair | None = None,
    *,
    addresses: Collection[str] | None = None,
    sender: str | None = None,
    test: bool = False,
) -> Sequence[OptOut]:
    """Return opt-outs behind a key, by recipient and sender: all, or those of a person or sender.

    Those of a sender are in the order of its index, which is that of recipients, too.
    """
    query, key = _active(test=test), (OptOut.to, OptOut.sender, OptOut.provider)
    if addresses is not None:
        query = query.where(any_of(OptOut.to, addresses))
    if sender is not None:
        query = query.where(OptOut.sender == sender)
    if after is not None:
        query = query.where(_behind(after, sender))
    order = key if sender is None else (OptOut.to, OptOut.provider)
    return db.session.scalars(query.order_by(*order).limit(limit)).all()


def _active(*, test: bool) -> Select[OptOut]:
    sandbox = OptOut.provider == SANDBOX
    return select(OptOut).where(OptOut.active, sandbox if test else ~sandbox)


def _behind(after: Pair, sender: str | None) -> ColumnElement[bool]:
    if sender is None:
        return tuple_(OptOut.to, OptOut.sender, OptOut.provider) > tuple_(*after)
    return tuple_(OptOut.to, OptOut.provider) > tuple_(after.to, after.provider)
