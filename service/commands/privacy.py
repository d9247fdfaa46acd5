"""People: forget a number, and read or end opt-outs."""

import click
from flask.cli import AppGroup

from service import addresses
from service.components import components
from service.database import transaction
from service.errors import Invalid
from service.privacy import erase
from service.queries import opt_outs

group = AppGroup("opt-outs", help="Recipients who do not want to hear from a sender.")

_PAGE = 1000


@click.command("forget")
@click.argument("number")
def forget(number: str) -> None:
    """Take NUMBER, and all that was written to it, out of every table and the inbox.

    May be ended and run again.
    """
    try:
        done = erase.erase_number(number)
    except Invalid as error:
        raise click.BadParameter(error.errors[0].message, param_hint="NUMBER") from None
    click.echo(f"redacted {done.redacted} messages, {done.orphans} orphans")
    click.echo(f"deleted {done.dead_letters} dead letters, {done.opt_outs} opt-outs")
    click.echo(f"taken out of {done.mentions} other messages, events and callbacks")
    for message_id, status in done.under_way:
        click.echo(f"later, when it ends: {message_id} ({status})")
    if not done.inbox_searched:
        raise click.ClickException(
            "Redis did not answer: callbacks that wait there were not searched; run it again"
        )


@group.command("list")
@click.argument("number", required=False)
def list_opt_outs(number: str | None) -> None:
    """List them, or those of NUMBER: recipient, sender, provider, code, since when."""
    found = opt_outs.page(_PAGE, None if number is None else _recipients(number))
    for one in found:
        click.echo(
            f"{one.to}  from {one.sender}  {one.provider}  {one.error_code}  "
            f"{one.since:%Y-%m-%d %H:%M:%S}Z"
        )
    click.echo(f"{len(found)} opt-outs" + (" or more" if len(found) == _PAGE else ""))


@group.command("remove")
@click.argument("number")
@click.option("--sender", help="Only that from this number or Messaging Service.")
def remove(number: str, sender: str | None) -> None:
    """Let NUMBER be written to again: it opted in, and the provider knows."""
    with transaction():
        count = opt_outs.remove(_recipients(number), None if sender is None else _sender(sender))
    if not count:
        raise click.ClickException("there is no such opt-out")
    click.echo(f"removed {count}")


def _recipients(text: str) -> list[str]:
    """Return the addresses under which opt-outs of a recipient are kept."""
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
