"""SQL that differs between PostgreSQL and SQLite.

On PostgreSQL the rows of a batch are sent as one JSON text: one statement, prepared once, serves
batches of every size. With a placeholder for each value psycopg 3.3 parses thousands of
placeholders for every batch; with an array for each column it escapes every value in Python.
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
    FromClause,
    Table,
    TableValuedAlias,
    Text,
    Uuid,
    any_,
    bindparam,
    cast,
    column,
    exists,
    func,
    literal_column,
    select,
    type_coerce,
    update,
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import InstrumentedAttribute
from sqlalchemy.types import TypeEngine, UserDefinedType

from service.database import db


def is_postgresql() -> bool:
    """Return whether the database is PostgreSQL; otherwise it is SQLite."""
    return db.engine.dialect.name == "postgresql"


def _unchanged(statement: Any) -> Any:
    return statement


class _Ids(UserDefinedType[Collection[UUID]]):
    """An array of ids, sent as one text: psycopg would convert it id by id."""

    cache_ok = True
    render_bind_cast = True  # PostgreSQL converts the text once

    def get_col_spec(self, **_: Any) -> str:
        return "UUID[]"

    def bind_processor(self, dialect: Dialect) -> Callable[[Any], str]:  # noqa: ARG002
        return lambda ids: "{" + ",".join([id_.hex for id_ in ids]) + "}"


def insert_into(table: Any) -> Any:
    """Return an INSERT with ON CONFLICT, which both databases support."""
    return (postgresql if is_postgresql() else sqlite).insert(table)


def any_of(column: InstrumentedAttribute[Any], values: Collection[Any]) -> ColumnElement[bool]:
    """Return the condition that a column has one of these values."""
    if not is_postgresql():
        return column.in_(values)
    array: Any = _Ids() if isinstance(column.type, Uuid) else ARRAY(column.type)
    return column == any_(bindparam(None, list(values), type_=array, unique=True))


def insert_all(
    table: Table, rows: Sequence[Mapping[str, Any]], finish: Callable[[Any], Any] = _unchanged
) -> Any:
    """Insert rows that all have the same columns; `finish` adds ON CONFLICT and RETURNING.

    `finish` must be a module-level function: it is part of the key under which statements are
    cached.
    """
    as_json = is_postgresql()
    statement = _insert(table, tuple(rows[0]), finish, as_json)
    sent = {"rows": json_text(rows)} if as_json else list(rows)
    return db.session.connection().execute(statement, sent)


def advisory_lock(name: str) -> None:
    """Lock a name until the transaction ends.

    Does nothing on SQLite, which runs one write transaction at a time.
    """
    if is_postgresql():
        key = func.hashtextextended(name, 0)
        db.session.execute(select(func.pg_advisory_xact_lock(key)))


def filter_returned(statement: Any, condition: Callable[[Any], ColumnElement[bool]]) -> Any:
    """Filter the rows that an INSERT returns; on SQLite, which has no INSERT in WITH, do not."""
    if not is_postgresql():
        return statement
    written = statement.cte("written")
    return select(written).where(condition(written.c))


def update_each(
    table: Table,
    rows: Sequence[Mapping[str, Any]],
    only: Callable[[Mapping[str, Any]], ColumnElement[bool]] | None = None,
) -> None:
    """Update each row by its id, which is the `key` of each of `rows`.

    `only` gets the new values and returns the condition for the update. It must be a module-level
    function: it is part of the key under which statements are cached.
    """
    as_json = is_postgresql()
    statement = _update(table, tuple(name for name in rows[0] if name != "key"), only, as_json)
    sent: Any = list(rows)
    if as_json:
        sent = {"rows": json_text([{**row, "id": row["key"]} for row in rows])}
    db.session.connection().execute(statement, sent)


# Compiling a statement takes as long as running it for one row.
@cache
def _insert(table: Table, names: Sequence[str], finish: Callable[[Any], Any], as_json: bool) -> Any:
    statement = insert_into(table)
    if as_json:
        sent = _sent_rows(table)
        statement = statement.from_select(names, select(*(sent.c[name] for name in names)))
    return finish(statement)


@cache
def _update(
    table: Table,
    names: Sequence[str],
    only: Callable[[Mapping[str, Any]], ColumnElement[bool]] | None,
    as_json: bool,
) -> Any:
    new: dict[str, Any] = {name: bindparam(name, type_=table.c[name].type) for name in names}
    key: Any = bindparam("key", type_=table.c.id.type)
    if as_json:
        sent = _sent_rows(table)
        new, key = {name: sent.c[name] for name in names}, sent.c.id
    statement = update(table).where(table.c.id == key).values(new)
    return statement if only is None else statement.where(only(new))


def _sent_rows(table: Table) -> TableValuedAlias:
    """Return the parameter `rows` as a table with the columns of `table` (PostgreSQL only)."""
    columns = [column(source.name, source.type) for source in table.columns]
    shape: ColumnElement[Any] = literal_column(f"NULL::{table.name}")
    rows = cast(bindparam("rows", type_=Text), JSON)
    return func.json_populate_recordset(shape, rows).table_valued(*columns, name="new")


def sent_rows(name: str, types: Mapping[str, TypeEngine[Any]]) -> FromClause:
    """Return the parameter `rows`, a JSON text, as a table with columns of these types."""
    columns = [column(each, type_) for each, type_ in types.items()]
    if is_postgresql():
        rows = cast(bindparam("rows", type_=Text), JSON)
        table = func.json_to_recordset(rows).table_valued(*columns, name=name)
        return table.render_derived(with_types=True)
    row = func.json_each(bindparam("rows", type_=Text)).table_valued("value")
    values = [
        type_coerce(func.json_extract(row.c.value, f"$.{each.name}"), each.type).label(each.name)
        for each in columns
    ]
    return select(*values).subquery(name)


def json_text(rows: Sequence[Mapping[str, Any]]) -> str:
    """Return the rows of a batch as the parameter `rows`."""
    try:
        return orjson.dumps(rows, default=_text).decode()
    except TypeError:  # metadata of a client can hold an integer beyond 64 bits
        return json.dumps(rows, default=_text)


def _text(value: object) -> str:
    """Return a value without a JSON type as PostgreSQL reads it. Raises TypeError."""
    if isinstance(value, bytes):
        return "\\x" + value.hex()
    if isinstance(value, Decimal | UUID | datetime):
        return str(value)
    raise TypeError(f"no column type for a {type(value).__name__}")


def any_of_parameter(column: InstrumentedAttribute[Any], name: str) -> ColumnElement[bool]:
    """Return the condition of `any_of` for the values of a parameter of a statement built once."""
    if not is_postgresql():
        return column.in_(bindparam(name, expanding=True))
    array: Any = _Ids() if isinstance(column.type, Uuid) else ARRAY(column.type)
    return column == any_(bindparam(name, type_=array))


def has_text(array: InstrumentedAttribute[Any], text: ColumnElement[Any]) -> ColumnElement[bool]:
    """Return the condition that a JSON array of texts has this one."""
    if is_postgresql():
        known: ColumnElement[bool] = cast(array, postgresql.JSONB).has_key(text)
        return known
    entries = func.json_each(array).table_valued("value")
    return exists(select(entries.c.value).where(entries.c.value == text))


def one_each(texts: Collection[str]) -> ColumnElement[str]:
    """Return a column that has each of these texts in one row, sent as one JSON text."""
    sent = bindparam("texts", json.dumps(list(texts)), type_=Text)
    rows = (
        func.json_array_elements_text(cast(sent, JSON)) if is_postgresql() else func.json_each(sent)
    )
    each: ColumnElement[str] = rows.table_valued(column("value", Text), name="each_text").c.value
    return each
