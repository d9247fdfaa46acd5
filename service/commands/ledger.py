"""Audit the whole database, and rebuild messages and opt-outs from what was received."""

import sys
from functools import partial
from typing import Final

import click

from service.operations import audit as auditing
from service.operations import rebuild as rebuilding
from service.operations import rebuild_opt_outs

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
