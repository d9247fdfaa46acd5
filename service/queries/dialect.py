"""What is faster in one database's SQL than in the other's stays in this file.

On PostgreSQL the rows of a batch travel as one JSON text: one statement for batches of every size,
prepared once. Row by row, psycopg 3.3 parses thousands of placeholders anew for every batch, and an
array for each column is escaped value by value in Python.
https://www.postgresql.org/docs/current/functions-json.html (json_populate_recordset)
"""

import json
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from functools import cache
from typing import Any
from uuid import UUID

import orjson
from sqlalchemy import (
    ARRAY,
    JSON,
    ColumnElement,
    Dialect,
    Table,
    TableValuedAlias,
    Text,
    Uuid,
    any_,
    bindparam,
    cast,
    column,
    func,
    literal_column,
    select,
    update,
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import InstrumentedAttribute
from sqlalchemy.types import UserDefinedType

from service.database import db, is_postgresql


def _as_it_is(statement: Any) -> Any:
    return statement


class _Ids(UserDefinedType[Collection[UUID]]):
    """An array of ids, written as one text: the driver's own way goes id by id."""

    cache_ok = True
    render_bind_cast = True  # so that PostgreSQL reads the text once, as what it is

    def get_col_spec(self, **_: Any) -> str:
        return "UUID[]"

    def bind_processor(self, dialect: Dialect) -> Callable[[Any], str]:  # noqa: ARG002
        return lambda ids: "{" + ",".join([one.hex for one in ids]) + "}"


def insert_into(table: Any) -> Any:
    """Return the INSERT of the database in use; both spell ON CONFLICT alike."""
    return (postgresql if is_postgresql() else sqlite).insert(table)


def among(column: InstrumentedAttribute[Any], values: Collection[Any]) -> ColumnElement[bool]:
    """Return the condition that a column has one of these values."""
    if not is_postgresql():
        return column.in_(values)
    several: Any = _Ids() if isinstance(column.type, Uuid) else ARRAY(column.type)
    return column == any_(bindparam(None, list(values), type_=several, unique=True))


def insert_all(
    table: Table, rows: Sequence[Mapping[str, Any]], finish: Callable[[Any], Any] = _as_it_is
) -> Any:
    """Insert rows, all with the same columns; `finish` adds ON CONFLICT and what is returned.

    `finish` is a function of a module, for the statement is made once and kept.
    """
    statement = _insert(table, tuple(rows[0]), finish, is_postgresql())
    return db.session.connection().execute(statement, _given(rows))


def lock_name(name: str) -> None:
    """Lock a name until the transaction ends; another that locks it waits.

    On SQLite one write transaction runs at a time anyway.
    """
    if is_postgresql():
        key = func.hashtextextended(name, 0)
        db.session.execute(select(func.pg_advisory_xact_lock(key)))


def only_those(statement: Any, condition: Callable[[Any], ColumnElement[bool]]) -> Any:
    """Return fewer of the rows that an INSERT returns. SQLite has no INSERT inside WITH: all."""
    if not is_postgresql():
        return statement
    written = statement.cte("written")
    return select(written).where(condition(written.c))


def update_each(
    table: Table,
    rows: Sequence[Mapping[str, Any]],
    only: Callable[[Mapping[str, Any]], ColumnElement[bool]] | None = None,
) -> None:
    """Write columns over rows of a table; `key` in each of `rows` is the `id` it is for.

    `only` gets the new values and returns the condition under which they are written; it is a
    function of a module, for the statement is made once and kept.
    """
    names = tuple(name for name in rows[0] if name != "key")
    if is_postgresql():
        rows = [{**row, "id": row["key"]} for row in rows]
    db.session.connection().execute(_update(table, names, only, is_postgresql()), _given(rows))


def _given(rows: Sequence[Mapping[str, Any]]) -> Any:
    return {"rows": _json(rows)} if is_postgresql() else list(rows)


# To make a statement takes as long as to run it for one row.
@cache
def _insert(table: Table, names: Sequence[str], finish: Callable[[Any], Any], whole: bool) -> Any:
    statement = insert_into(table)
    if whole:
        sent = _sent(table)
        statement = statement.from_select(names, select(*(sent.c[name] for name in names)))
    return finish(statement)


@cache
def _update(
    table: Table,
    names: Sequence[str],
    only: Callable[[Mapping[str, Any]], ColumnElement[bool]] | None,
    whole: bool,
) -> Any:
    new: dict[str, Any] = {name: bindparam(name, type_=table.c[name].type) for name in names}
    which: Any = bindparam("key", type_=table.c.id.type)
    if whole:
        sent = _sent(table)
        new, which = {name: sent.c[name] for name in names}, sent.c.id
    statement = update(table).where(table.c.id == which).values(new)
    return statement if only is None else statement.where(only(new))


def _sent(table: Table) -> TableValuedAlias:
    """Return what is sent as `rows` as a table of the types of `table` (PostgreSQL only)."""
    columns = [column(one.name, one.type) for one in table.columns]
    shape: ColumnElement[Any] = literal_column(f"NULL::{table.name}")
    given = cast(bindparam("rows", type_=Text), JSON)
    return func.json_populate_recordset(shape, given).table_valued(*columns, name="new")


def _json(rows: Sequence[Mapping[str, Any]]) -> str:
    try:
        return orjson.dumps(rows, default=_text).decode()
    except TypeError:  # a client's own data may hold a number beyond 64 bits
        return json.dumps(rows, default=_text)


def _text(value: object) -> str:
    """Return a value that JSON does not know as PostgreSQL reads it. Raises TypeError."""
    if isinstance(value, bytes):
        return "\\x" + value.hex()
    if isinstance(value, Decimal | UUID | datetime):
        return str(value)
    raise TypeError(f"a {type(value).__name__} fits in no column")
