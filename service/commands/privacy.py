"""Erase a number; list and remove opt-outs."""

import click
from flask.cli import AppGroup

from service import addresses
from service.components import components
from service.database import transaction
from service.errors import Invalid
from service.privacy import erase
from service.queries import opt_outs

group = AppGroup("opt-outs", help="List and remove opt-outs of recipients.")

_PAGE = 1000


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


@group.command("list")
@click.argument("number", required=False)
def list_opt_outs(number: str | None) -> None:
    """List opt-outs, all or of NUMBER: recipient, sender, provider, code, time."""
    rows = opt_outs.page(_PAGE, None if number is None else _recipients(number))
    for row in rows:
        click.echo(
            f"{row.to}  from {row.sender}  {row.provider}  {row.error_code}  "
            f"{row.since:%Y-%m-%d %H:%M:%S}Z"
        )
    click.echo(f"{len(rows)} opt-outs" + (" or more" if len(rows) == _PAGE else ""))


@group.command("remove")
@click.argument("number")
@click.option("--sender", help="Only the opt-out from this sender or Messaging Service.")
def remove(number: str, sender: str | None) -> None:
    """Remove the opt-outs of NUMBER, after the recipient opted in again at the provider."""
    with transaction():
        count = opt_outs.remove(_recipients(number), None if sender is None else _sender(sender))
    if not count:
        raise click.ClickException("no such opt-out; `opt-outs list` shows all")
    click.echo(f"removed {count}")


def _recipients(text: str) -> list[str]:
    """Return the addresses under which opt-outs of a recipient are stored."""
    try:
        return addresses.addresses_of(
            addresses.recipient(text, components().settings.default_region)
        )
    except addresses.UnusableAddress as error:
        raise click.BadParameter(str(error), param_hint="NUMBER") from None


def _sender(text: str) -> str:
    try:
        return addresses.service_or_sender(text, components().settings.default_region)
    except addresses.UnusableAddress as error:
        raise click.BadParameter(str(error), param_hint="--sender") from None
