"""The accounts of the whole database: whether they hold, and how to mend them."""

import click

from service.flows import auditing, rebuilding


@click.command("audit")
def audit() -> None:
    """Check the accounting identity over the whole database; exit with 1 if it does not hold."""
    findings = auditing.audit()
    for finding in findings:
        click.echo(f"{'ok ' if finding.holds else 'NOT'}  {finding.claim}")
    if not all(finding.holds for finding in findings):
        raise SystemExit(1)


@click.command("rebuild")
@click.option("--write", is_flag=True, help="Also write what the ledger says.")
def rebuild(write: bool) -> None:
    """Fold every ledger again and report the messages that show something else."""
    count = 0
    for difference in rebuilding.rebuild(write=write):
        count += 1
        click.echo(f"{difference.message_id}: shows {difference.shown}, ledger {difference.folded}")
    click.echo(f"{count} messages differ" + (", and were mended" if write and count else ""))
