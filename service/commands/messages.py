"""Explain, reconcile and resolve messages."""

import time
from collections.abc import Sequence
from datetime import UTC, datetime
from uuid import UUID

import click

from service.components import components
from service.errors import ClientError, ProviderError
from service.operations import timeline
from service.queries import reconciliation
from service.reconciliation import poll
from service.reconciliation import resolve as resolving

# Retries, and seconds before each, while the provider does not answer.
_MAX_RETRIES = 20
_RETRY_DELAY = 5.0


@click.command("explain")
@click.argument("message_id", type=click.UUID)
def explain(message_id: UUID) -> None:
    """Show the history of MESSAGE_ID, what it waits for, and what happens next."""
    for line in timeline.explain(message_id):
        click.echo(line)


@click.command("reconcile")
@click.option(
    "--since",
    type=click.DateTime(),
    help="All messages without a final status accepted since then (UTC).",
)
@click.option("--message", "message_id", type=click.UUID, help="Only this message.")
def reconcile(since: datetime | None, message_id: UUID | None) -> None:
    """Ask the provider now about messages without a final status.

    At most RECONCILE_BUDGET messages per second.
    """
    if (since is None) == (message_id is None):
        raise click.UsageError("give either --since or --message")
    if message_id is not None:
        done = 1 - len(poll.reconcile([message_id], force=True))
    else:
        assert since is not None
        done = _since(since.replace(tzinfo=UTC))
    click.echo(f"asked about {done} messages")


def _since(since: datetime) -> int:
    budget, after, done = components().settings.reconcile_budget, None, 0
    while ids := reconciliation.unfinished(since, after, budget):
        _reconcile(ids)
        after, done = ids[-1], done + len(ids)
        click.echo(f"\r{done} …", nl=False)
        time.sleep(1)  # the budget is per second
    click.echo()
    return done


def _reconcile(ids: Sequence[UUID]) -> None:
    """Ask the provider about messages; retry while it does not answer."""
    for _ in range(_MAX_RETRIES):
        ids = poll.reconcile(ids, force=True)
        if not ids:
            return
        time.sleep(_RETRY_DELAY)
    raise click.ClickException("the provider does not answer; retry in a few minutes")


@click.command("resolve")
@click.argument("message_id", type=click.UUID)
@click.option("--sid", help="The message was sent: its SID in the provider's console.")
@click.option("--not-sent", is_flag=True, help="The message was not sent: set it to failed.")
def resolve(message_id: UUID, sid: str | None, not_sent: bool) -> None:
    """Decide the outcome of MESSAGE_ID, which is in doubt.

    Look up the message in the provider's console first.
    """
    if (sid is None) == (not not_sent):
        raise click.UsageError("give either --sid or --not-sent")
    try:
        status = resolving.resolve(message_id, sid)
    except (ClientError, ProviderError) as error:
        raise click.ClickException(str(error)) from error
    click.echo(f"the message is {status}")
