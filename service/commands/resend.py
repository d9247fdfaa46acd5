"""Send failed and expired messages again."""

import sys
from datetime import UTC, datetime
from typing import Final

import click
from flask.cli import AppGroup

from service.domain.report import Source
from service.errors import NotFound
from service.operations import bulk_resend
from service.operations.bulk_resend import Limits, Result, Selection
from service.sending.resend_refusals import Order

group = AppGroup("messages", help="Send failed and expired messages again.")

_WIDTH: Final = 40


@group.command("resend")
@click.option("--since", type=click.DateTime(), required=True, help="Accepted at this time (UTC).")
@click.option("--until", type=click.DateTime(), help="Accepted before this time (UTC); now.")
@click.option("--error-code", help="Only messages that failed with this code.")
@click.option("--client", help="Only messages of the client of this name.")
@click.option("--limit", type=click.IntRange(1), default=100_000, show_default=True)
@click.option("--confirm-duplicate", is_flag=True, help="Also if they may have been sent.")
@click.option("--dry-run", is_flag=True, help="Only count.")
def resend(
    since: datetime,
    until: datetime | None,
    error_code: str | None,
    client: str | None,
    limit: int,
    confirm_duplicate: bool,
    dry_run: bool,
) -> None:
    """Send messages again that failed or expired without having been sent.

    The command can be interrupted and run again.
    """
    end = until.replace(tzinfo=UTC) if until else datetime.now(UTC)
    selection = Selection(since.replace(tzinfo=UTC), end, error_code, client)
    if end <= selection.since:
        raise click.BadParameter("must be later than --since", param_hint="--until")
    order = Order(Source.RECONCILIATION, confirmed=confirm_duplicate)
    try:
        if dry_run:
            result = bulk_resend.count(selection, order, Limits(limit))
        else:
            result = bulk_resend.run(selection, order, Limits(limit), _show)
    except NotFound as error:
        raise click.BadParameter(error.detail, param_hint="--client") from None
    _report(result, dry_run)


def _report(result: Result, dry_run: bool) -> None:
    click.echo(f"{'would be sent again' if dry_run else 'sent again'}: {result.sent}")
    for reason, number in sorted(result.skipped.items()):
        click.echo(f"skipped: {number}, because {reason}")
    if result.stopped:
        click.echo("stopped at --limit; run the command again for the rest")


def _show(messages: int) -> None:
    if sys.stderr.isatty():
        click.echo(f"\r{messages:,} messages done …".ljust(_WIDTH), nl=False, err=True)
