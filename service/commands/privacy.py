"""Erase a number."""

import click

from service.errors import Invalid
from service.privacy import erase


@click.command("forget")
@click.argument("number")
def forget(number: str) -> None:
    """Erase NUMBER and the texts sent to it from every table and the inbox.

    The command can be interrupted and run again.
    """
    try:
        erased = erase.erase_number(number)
    except Invalid as error:
        raise click.BadParameter(error.errors[0].message, param_hint="NUMBER") from None
    click.echo(f"redacted {erased.redacted} messages, {erased.orphans} orphans")
    click.echo(f"deleted {erased.dead_letters} dead letters, {erased.opt_outs} opt-outs")
    click.echo(f"taken out of {erased.mentions} other messages, events and callbacks")
    for message_id, status in erased.under_way:
        click.echo(f"later, when it ends: {message_id} ({status})")
    if not erased.inbox_searched:
        raise click.ClickException(
            "the inbox was not searched, because Redis is unavailable; run the command again"
        )
