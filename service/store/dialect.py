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
from typing import Any
from uuid import UUID

import orjson
from sqlalchemy import (
    ARRAY,
    JSON,
    Column,
    ColumnElement,
    Table,
    TableValuedAlias,
    Text,
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

from service.extensions import db


def is_postgresql() -> bool:
    """Tell which database this is."""
    return db.engine.dialect.name == "postgresql"


def insert_into(table: Any) -> Any:
    """Return the INSERT of the database in use; both spell ON CONFLICT alike."""
    return (postgresql if is_postgresql() else sqlite).insert(table)


def among(column: InstrumentedAttribute[Any], values: Collection[Any]) -> ColumnElement[bool]:
    """Return the condition that a column has one of these values."""
    if not is_postgresql():
        return column.in_(values)
    array = bindparam(None, list(values), type_=ARRAY(column.type), unique=True)
    return column == any_(array)


def insert_all(
    table: Table,
    rows: Sequence[Mapping[str, Any]],
    finish: Callable[[Any], Any] = lambda said: said,
) -> Any:
    """Insert rows, all with the same columns; `finish` adds ON CONFLICT and RETURNING."""
    statement = insert_into(table)
    given: Any = list(rows)
    if is_postgresql():
        sent, names = as_table(table, rows), list(rows[0])
        statement = statement.from_select(names, select(*(sent.c[name] for name in names)))
        given = None
    return db.session.connection().execute(finish(statement), given)


def update_each(
    table: Table,
    key: Column[Any],
    rows: Sequence[Mapping[str, Any]],
    only: Callable[[Mapping[str, Any]], ColumnElement[bool]] | None = None,
) -> None:
    """Write columns over rows of a table; `key` in each of `rows` names the row it is for.

    `only` gets the new values and returns the condition under which they are written.
    """
    names = [name for name in rows[0] if name != "key"]
    new: dict[str, Any] = {name: bindparam(name, type_=table.c[name].type) for name in names}
    given: Any = list(rows)
    which: Any = bindparam("key", type_=key.type)
    if is_postgresql():
        sent = as_table(table, [{**row, key.name: row["key"]} for row in rows])
        new, which, given = {name: sent.c[name] for name in names}, sent.c[key.name], None
    statement = update(table).where(key == which).values(new)
    if only is not None:
        statement = statement.where(only(new))
    db.session.connection().execute(statement, given)


def as_table(table: Table, rows: Sequence[Mapping[str, Any]]) -> TableValuedAlias:
    """Return rows as a table of the types of `table`, sent as one value (PostgreSQL only)."""
    columns = [column(one.name, one.type) for one in table.columns]
    sent = bindparam(None, _json(rows), type_=Text, unique=True)
    shape: ColumnElement[Any] = literal_column(f"NULL::{table.name}")
    return func.json_populate_recordset(shape, cast(sent, JSON)).table_valued(*columns, name="new")


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
