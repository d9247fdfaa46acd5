"""One message, or many: what happened, what happens next, and what the provider knows of it."""

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

_MOST_PAUSES = 20
_PAUSE = 5.0


@click.command("explain")
@click.argument("message_id", type=click.UUID)
def explain(message_id: UUID) -> None:
    """Tell the story of MESSAGE_ID: attempts, events, what it waits for, what happens next."""
    for line in timeline.explain(message_id):
        click.echo(line)


@click.command("reconcile")
@click.option("--since", type=click.DateTime(), help="All unfinished ones accepted since (UTC).")
@click.option("--message", "message_id", type=click.UUID, help="This message only.")
def reconcile(since: datetime | None, message_id: UUID | None) -> None:
    """Ask the provider now about messages without a final status, within the budget of a second."""
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
        _ask(ids)
        after, done = ids[-1], done + len(ids)
        click.echo(f"\r{done} …", nl=False)
        time.sleep(1)  # the budget is one of a second
    click.echo()
    return done


def _ask(ids: Sequence[UUID]) -> None:
    """Ask about these, waiting a while whenever a provider wants fewer questions."""
    for _ in range(_MOST_PAUSES):
        ids = poll.reconcile(ids, force=True)
        if not ids:
            return
        time.sleep(_PAUSE)
    raise click.ClickException("the provider keeps refusing questions; try again later")


@click.command("resolve")
@click.argument("message_id", type=click.UUID)
@click.option("--sid", help="The provider's id of this message, as its console shows it.")
@click.option("--not-sent", is_flag=True, help="It never went out: fail it.")
def resolve(message_id: UUID, sid: str | None, not_sent: bool) -> None:
    """Decide about MESSAGE_ID in doubt, where look-ups found two that may be it."""
    if (sid is None) == (not not_sent):
        raise click.UsageError("give either --sid or --not-sent")
    try:
        status = resolving.resolve(message_id, sid)
    except (ClientError, ProviderError) as error:
        raise click.ClickException(str(error)) from error
    click.echo(f"the message is {status}")
