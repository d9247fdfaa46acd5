"""Read a list in pages along one index, in bounded time for every filter.

Filters outside the index are compared row by row over a bounded number of rows; the page then
returns the id at which the next page continues. Ids are in the order of creation (UUIDv7), so new
rows do not move a page.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, Final, Generic, NamedTuple, TypeVar
from uuid import UUID

from sqlalchemy import ColumnElement, Select, select
from sqlalchemy.orm import InstrumentedAttribute, aliased

from service.database import db
from service.domain.message_ids import first_id

# Rows that are compared for each row that fits on a page.
SEARCH_FACTOR: Final = 20
Columns = list[InstrumentedAttribute[Any]]
Row = TypeVar("Row")


class Page(NamedTuple, Generic[Row]):
    """Rows, and the id before which the next page starts; None on the last page.

    A page can be short or empty without being the last.
    """

    rows: Sequence[Row]
    next: UUID | None


class Walk(NamedTuple):
    """The columns of an index before the id, conditions on them, and the filters to compare."""

    columns: Columns
    equal: list[ColumnElement[bool]]
    others: Mapping[str, Any] = {}


def page(table: Any, query: Select[Any], walk: Walk, limit: int) -> Page[Any]:
    """Return the newest rows of a query along an index.

    `query` selects rows of `table` by conditions that the index covers.
    """
    query = query.where(*walk.equal).order_by(*walk.columns, _newest(table))
    if not walk.others:
        rows = db.session.scalars(query.limit(limit + 1)).all()
    else:
        query = query.limit(SEARCH_FACTOR * limit)
        rows = _matching(table, query, walk, limit + 1)
    if len(rows) > limit:
        return Page(rows[:limit], rows[limit - 1].id)
    return Page(rows, _end_of_search(table, query, rows, limit) if walk.others else None)


def merged(pages: Sequence[Page[Any]], limit: int) -> Page[Any]:
    """Return one page of those of several walks."""
    # Older rows than this were not compared in every walk.
    ends = [page.next for page in pages if page.next]
    end = max(ends, default=None, key=lambda row_id: row_id.int)
    rows = [row for page in pages for row in page.rows if end is None or row.id >= end]
    rows.sort(key=lambda row: row.id.int, reverse=True)
    if len(rows) > limit:
        return Page(rows[:limit], rows[limit - 1].id)
    return Page(rows, end)


def along(column: InstrumentedAttribute[Any], value: Any, others: Mapping[str, Any]) -> Walk:
    """Return a walk along the index of one value of a column.

    `BETWEEN value AND value` makes both databases use the index: with `=` the column drops out of
    ORDER BY, and they may choose another index.
    """
    return Walk([column], [column.between(value, value)], others)


def id_range(
    table: Any, since: datetime | None, until: datetime | None, before: UUID | None
) -> Iterator[ColumnElement[bool]]:
    """Yield conditions on the id, which contains the time of creation."""
    if since is not None:
        yield table.id >= first_id(since)
    if until is not None:
        yield table.id < first_id(until)
    if before is not None:
        yield table.id < before


def _newest(table: Any) -> ColumnElement[Any]:
    # NULLS LAST, as in the indexes: without it the database may read the primary key instead.
    order: ColumnElement[Any] = table.id.desc().nulls_last()
    return order


def _matching(table: Any, query: Select[Any], walk: Walk, limit: int) -> Sequence[Any]:
    """Return the rows of a query that match the other filters, in order."""
    searched = aliased(table, query.add_columns(*walk.columns).subquery())
    conditions = [getattr(searched, name) == value for name, value in walk.others.items()]
    order = [getattr(searched, column.key) for column in walk.columns]
    matching = select(searched).where(*conditions).order_by(*order, _newest(searched))
    return db.session.scalars(matching.limit(limit)).all()


def _end_of_search(table: Any, query: Select[Any], rows: Sequence[Any], limit: int) -> UUID | None:
    """Return the last id that was compared; None if no rows are left."""
    ids = db.session.scalars(query.with_only_columns(table.id)).all()
    if len(ids) < SEARCH_FACTOR * limit:
        return None
    # New rows between both queries move the end; no row may be on two pages.
    end: UUID = min([ids[-1], *(row.id for row in rows)], key=lambda id_: id_.int)
    return end
