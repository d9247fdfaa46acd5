"""Erase a number."""

import click

from service.errors import Invalid
from service.privacy import erase


@click.command("forget")
@click.argument("number")
@click.option(
    "--keep-opt-outs",
    is_flag=True,
    help="Keep the opt-outs of NUMBER. Without them, clients can write to it again.",
)
def forget(number: str, keep_opt_outs: bool) -> None:
    """Erase NUMBER, and the texts sent to it and received from it, from every table and the inbox.

    The command can be interrupted and run again.
    """
    try:
        erased = erase.erase_number(number, keep_opt_outs=keep_opt_outs)
    except Invalid as error:
        raise click.BadParameter(error.errors[0].message, param_hint="NUMBER") from None
    click.echo(
        f"redacted {erased.redacted} messages, {erased.inbound} inbound messages, "
        f"{erased.orphans} orphans"
    )
    click.echo(f"deleted {erased.dead_letters} dead letters, {erased.opt_outs} opt-outs")
    click.echo(f"taken out of {erased.mentions} other messages, events and callbacks")
    for message_id, status in erased.under_way:
        click.echo(f"later, when it ends: {message_id} ({status})")
    if not erased.inbox_searched:
        raise click.ClickException(
            "the inbox was not searched, because Redis is unavailable; run the command again"
        )
