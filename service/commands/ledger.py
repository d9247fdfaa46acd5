"""Audit the whole database, rebuild messages and opt-outs, and change the ledger's partitions."""

import sys
from datetime import UTC, datetime
from functools import partial
from typing import Final

import click
from sqlalchemy.exc import DBAPIError

from service.operations import audit as auditing
from service.operations import ledger_partitions, rebuild_opt_outs
from service.operations import rebuild as rebuilding

_WIDTH: Final = 40


group = click.Group("ledger", help="Show and change the ledger.")


@group.command("partitions")
def partitions() -> None:
    """Make the months of the ledger ahead, drop those that are old, and list what there is.

    The task waybill.partition_ledger does the same every minute.
    """
    try:
        for change in ledger_partitions.change_partitions(datetime.now(UTC)):
            click.echo(change)
        parts = list(ledger_partitions.list_partitions())
    except DBAPIError as error:
        raise click.ClickException(
            f"cannot change the partitions of the ledger: {error.orig}\nIf it is in use, run the "
            "command again later. If the role in DATABASE_URL does not own the table, run it as "
            "the owner."
        ) from None
    if not parts:
        click.echo("SQLite keeps the ledger in one table.")
    for name, rows, size in parts:
        click.echo(f"{name:24}  about {rows:>13,} reports  {size / 2**20:>10,.1f} MiB")


@click.command("audit")
def audit() -> None:
    """Check the accounting identity over the whole database; exit with 1 if a check fails."""
    findings = auditing.audit(_show)
    _clear()
    for finding in findings:
        click.echo(f"{'ok ' if finding.holds else 'NOT'}  {finding.text}")
    if not all(finding.holds for finding in findings):
        raise SystemExit(1)


@click.command("rebuild")
@click.option("--write", is_flag=True, help="Also correct the messages and opt-outs.")
def rebuild(write: bool) -> None:
    """List messages that differ from their ledgers, and opt-outs from what recipients wrote."""
    count = 0
    for difference in rebuilding.rebuild(write=write, progress=partial(_show, "ledgers")):
        count += 1
        _clear()
        click.echo(f"{difference.message_id}: shows {difference.shown}, ledger {difference.folded}")
    _clear()
    corrected = ", and were corrected" if write else ""
    click.echo(f"{count} messages differ" + (corrected if count else ""))
    missed = _missed(write=write)
    click.echo(f"{missed} opt-outs differ" + (corrected if missed else ""))


def _missed(*, write: bool) -> int:
    """List the changes that the suppression list misses; return how many."""
    count = 0
    for message, change in rebuild_opt_outs.rebuild(write=write, progress=partial(_show, "words")):
        count += 1
        _clear()
        word = "STOP" if change.begins else "START"
        click.echo(f"{message.id}: {word} to {change.pair.sender} is not in the suppression list")
    _clear()
    return count


def _show(what: str, rows: int) -> None:
    if sys.stderr.isatty():
        click.echo(f"\r{what}: {rows:,} read …".ljust(_WIDTH), nl=False, err=True)


def _clear() -> None:
    if sys.stderr.isatty():
        click.echo("\r" + " " * _WIDTH + "\r", nl=False, err=True)
