"""Import and export opt-outs as CSV files."""

import csv
import sys
from datetime import UTC, datetime
from io import TextIOWrapper
from pathlib import Path
from typing import IO, Any, Final, TextIO

import click
from flask.cli import with_appcontext

from service.commands.opt_outs import BY
from service.opt_outs import csv_files

_MAX_LISTED: Final = 100  # bad rows
_PROGRESS: Final = 10_000  # rows
_STANDARD: Final = Path("-")
_FILE: Final = click.Path(exists=True, dir_okay=False, allow_dash=True, path_type=Path)


@click.command("import")
@with_appcontext
@click.argument("file", type=_FILE)
@click.option("--since", help="When rows without `since` began. Default: the time of the file.")
def import_file(file: Path, since: str | None) -> None:
    """Begin the opt-outs in a CSV FILE (- is the standard input).

    Columns: number; sender (* or no such column: every sender); provider; since. Rows that cannot
    be imported are listed. The command can be stopped and run again.
    """
    rows = began = bad = 0
    try:
        with _opened(file) as lines:
            for step in csv_files.import_lines(lines, _since(since, file), BY):
                for problem in step.bad[: max(0, _MAX_LISTED - bad)]:
                    click.echo(problem, err=True)
                rows, began, bad = rows + step.rows, began + step.began, bad + len(step.bad)
                if step.rows and rows % _PROGRESS == 0:
                    click.echo(f"{rows:,} rows read, {began:,} opt-outs began", err=True)
    except csv_files.BadFile as error:
        raise click.ClickException(f"{error}; {rows:,} rows were read before") from None
    click.echo(f"imported {rows - bad:,} rows: {began:,} opt-outs began")
    if bad:
        raise click.ClickException(
            f"{bad:,} rows were not imported: correct them, and import the file again"
        )


@click.command("export")
@with_appcontext
@click.argument("file", type=click.Path(dir_okay=False, allow_dash=True, path_type=Path))
def export_file(file: Path) -> None:
    """Write the opt-outs in force into a CSV FILE (- is the standard output)."""
    if file == _STANDARD:
        with click.open_file("-", "w") as standard:
            count = _write(standard)
    else:
        part = file.with_name(f"{file.name}.part")  # a file with the right name is complete
        with part.open("w", encoding="utf-8", newline="") as lines:
            count = _write(lines)
        part.replace(file)
    click.echo(f"exported {count:,} opt-outs", err=True)


def _write(lines: IO[Any]) -> int:
    writer, count = csv.writer(lines, lineterminator="\n"), -1  # the header is no opt-out
    for row in csv_files.export_rows():
        writer.writerow(row)
        count += 1
        if count and count % _PROGRESS == 0:
            click.echo(f"{count:,} opt-outs written", err=True)
    return count


def _opened(file: Path) -> TextIO:
    if file == _STANDARD:
        return TextIOWrapper(sys.stdin.buffer, encoding="utf-8-sig", newline="")
    return file.open(encoding="utf-8-sig", newline="")


def _since(text: str | None, file: Path) -> datetime:
    """Return the time of rows without one: a file imported again must not undo a later START."""
    if text is not None:
        try:
            return csv_files.as_time(text)
        except ValueError as error:
            raise click.BadParameter(str(error), param_hint="--since") from None
    now = datetime.now(UTC)
    if file == _STANDARD:
        return now
    return min(now, datetime.fromtimestamp(file.stat().st_mtime, UTC))
