"""The accounts of the whole database: whether they hold, and how to mend them."""

import sys
from typing import Final

import click

from service.operations import audit as auditing
from service.operations import rebuild as rebuilding

_WIDTH: Final = 40


@click.command("audit")
def audit() -> None:
    """Check the accounting identity over the whole database; exit with 1 if it does not hold."""
    findings = auditing.audit(_show)
    _clear()
    for finding in findings:
        click.echo(f"{'ok ' if finding.holds else 'NOT'}  {finding.text}")
    if not all(finding.holds for finding in findings):
        raise SystemExit(1)


@click.command("rebuild")
@click.option("--write", is_flag=True, help="Also write what the ledger says.")
def rebuild(write: bool) -> None:
    """Fold every ledger again and report the messages that show something else."""
    count = 0
    for difference in rebuilding.rebuild(write=write, progress=lambda rows: _show("ledgers", rows)):
        count += 1
        _clear()
        click.echo(f"{difference.message_id}: shows {difference.shown}, ledger {difference.folded}")
    _clear()
    click.echo(f"{count} messages differ" + (", and were mended" if write and count else ""))


def _show(what: str, rows: int) -> None:
    """Show how far a command has come, where a person looks at a terminal."""
    if sys.stderr.isatty():
        click.echo(f"\r{what}: {rows:,} read …".ljust(_WIDTH), nl=False, err=True)


def _clear() -> None:
    if sys.stderr.isatty():
        click.echo("\r" + " " * _WIDTH + "\r", nl=False, err=True)
