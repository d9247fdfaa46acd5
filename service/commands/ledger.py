"""Audit the whole database, and rebuild messages from their ledgers."""

import sys
from functools import partial
from typing import Final

import click

from service.operations import audit as auditing
from service.operations import rebuild as rebuilding

_WIDTH: Final = 40


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
@click.option("--write", is_flag=True, help="Also correct the messages.")
def rebuild(write: bool) -> None:
    """Compare every message with its ledger and list the differences."""
    count = 0
    for difference in rebuilding.rebuild(write=write, progress=partial(_show, "ledgers")):
        count += 1
        _clear()
        click.echo(f"{difference.message_id}: shows {difference.shown}, ledger {difference.folded}")
    _clear()
    click.echo(f"{count} messages differ" + (", and were corrected" if write and count else ""))


def _show(what: str, rows: int) -> None:
    if sys.stderr.isatty():
        click.echo(f"\r{what}: {rows:,} read …".ljust(_WIDTH), nl=False, err=True)


def _clear() -> None:
    if sys.stderr.isatty():
        click.echo("\r" + " " * _WIDTH + "\r", nl=False, err=True)
