"""Opt-outs as CSV, read and written as streams: a file may have millions of rows."""

import csv
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Final, NamedTuple

from service.components import components
from service.database import transaction
from service.errors import Invalid
from service.opt_outs import pairs
from service.opt_outs.apply import apply
from service.queries import opt_out_lists
from service.queries.opt_outs import ALL, Change, Pair

# An export has all columns; an import reads the first four.
COLUMNS: Final = ("number", "sender", "provider", "since", "reason", "changed_by", "error_code")
_READ: Final = COLUMNS[:4]
_BATCH: Final = 1_000


class BadFile(Exception):
    """The file has no usable header, or is no CSV. Nothing more is read."""


class Step(NamedTuple):
    """A part of an import: the rows that were read, and those that were not imported."""

    rows: int
    began: int  # opt-outs that were not in force before
    bad: list[str]  # each with its line, and how to correct it


def import_lines(lines: Iterable[str], since: datetime, by: str) -> Iterator[Step]:
    """Begin the opt-outs of a CSV file, in short transactions. Raises BadFile.

    `since` is the time of rows without one. Rows that were imported before change nothing.
    """
    changes, rows, bad = list[Change](), 0, list[str]()
    for line, cells in _rows(lines):
        rows += 1
        try:
            changes += _changes(cells, since, by)
        except ValueError as error:
            bad.append(f"line {line}: {error}")
        if rows == _BATCH:
            yield _imported(changes, rows, bad)
            changes, rows, bad = [], 0, []
    yield _imported(changes, rows, bad)


def export_rows() -> Iterator[tuple[str, ...]]:
    """Yield the header and then a row for each opt-out in force, by number and sender."""
    yield COLUMNS
    after, more = None, True
    while more:
        with transaction():
            page = opt_out_lists.page(_BATCH, after)
        for row in page:
            after = Pair(row.to, row.sender, row.provider)
            since = row.since.astimezone(UTC).isoformat()
            yield (*after, since, row.reason, row.changed_by, row.error_code or "")
        more = len(page) == _BATCH


def as_time(text: str) -> datetime:
    """Return a time in the past. Raises ValueError."""
    try:
        moment = datetime.fromisoformat(text.strip())
    except ValueError:
        raise ValueError("since must be a time such as 2026-11-24T09:00:00Z") from None
    if moment.tzinfo is None:
        raise ValueError("since must have an offset, such as the Z of 2026-11-24T09:00:00Z")
    if moment > datetime.now(UTC):
        raise ValueError("since must be in the past")
    return moment.astimezone(UTC)


def _imported(changes: list[Change], rows: int, bad: list[str]) -> Step:
    if not changes:
        return Step(rows, 0, bad)
    with transaction():
        return Step(rows, apply(changes), bad)


def _rows(lines: Iterable[str]) -> Iterator[tuple[int, Mapping[str | None, str | None]]]:
    """Yield rows with the number of their (last) line."""
    reader = csv.DictReader(lines, strict=True)
    try:
        reader.fieldnames = _header(reader.fieldnames or ())
        for cells in reader:
            yield reader.line_num, cells
    except (csv.Error, UnicodeDecodeError) as error:
        place = f"line {reader.line_num + 1} or after it"
        raise BadFile(f"{place} is not CSV in UTF-8 ({error}); correct it") from None


def _header(names: Iterable[str]) -> list[str]:
    """Return the names of the columns. A misspelt `sender` must not mean every sender."""
    header = [name.strip().lower() for name in names]
    unknown = [name for name in header if name not in COLUMNS]
    columns = (
        f"the columns are {', '.join(_READ)}, separated by commas, of which number is required"
    )
    if unknown:
        raise BadFile(f"line 1: unknown column {unknown[0][:50]!r}; {columns}")
    if "number" not in header:
        raise BadFile(f"line 1: the column number is missing; {columns}")
    if len(set(header)) < len(header):
        raise BadFile(f"line 1: a column is there twice; {columns}")
    return header


def _changes(cells: Mapping[str | None, str | None], since: datetime, by: str) -> Iterator[Change]:
    """Yield the changes of a row. Raises ValueError."""
    if None in cells:
        raise ValueError("has more cells than the header; quote cells that have commas")
    if "sender" in cells and not _cell(cells, "sender"):
        raise ValueError("sender is empty; write * for every sender")
    at = as_time(_cell(cells, "since")) if _cell(cells, "since") else since
    try:
        keys = pairs.pairs(_cell(cells, "number"), _cell(cells, "sender") or ALL)
    except Invalid as invalid:
        raise ValueError(f"{invalid.errors[0].field} {invalid.errors[0].message}") from None
    for key in _at_provider(keys, _cell(cells, "provider")):
        yield Change(key, True, at, "import", by)


def _cell(cells: Mapping[str | None, str | None], name: str) -> str:
    return (cells.get(name) or "").strip()


def _at_provider(keys: list[Pair], provider: str) -> list[Pair]:
    """Return the keys at the provider that a row names, if it does. Raises ValueError."""
    if provider in ("", ALL):
        return keys
    providers = sorted(components().real_providers)
    if provider not in providers:
        raise ValueError(f"provider must be one of: {', '.join(providers)}; or leave it empty")
    if keys[0].sender == ALL:
        raise ValueError("provider must be * where sender is *")
    return [keys[0]._replace(provider=provider)]
