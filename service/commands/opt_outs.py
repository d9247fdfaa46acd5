"""List, add and remove opt-outs."""

from collections.abc import Iterator, Sequence
from typing import Final

import click
from flask.cli import AppGroup

from service.database import transaction
from service.errors import Invalid
from service.models import OptOut
from service.opt_outs import change, pairs
from service.queries import opt_out_lists

group = AppGroup("opt-outs", help="List, add, remove, import and export opt-outs of recipients.")

BY: Final = "command"
_PAGE: Final = 1000
_SENDER: Final = click.option(
    "--sender", help="Only from this sender or Messaging Service. Default: from every sender."
)


@group.command("list")
@click.argument("number", required=False)
@click.option("--sender", help="Only opt-outs from this sender or Messaging Service; * is all.")
def list_opt_outs(number: str | None, sender: str | None) -> None:
    """List opt-outs, all or of NUMBER: recipient, sender, provider, reason, by whom, time."""
    addresses = None if number is None else _checked_number(number)
    normalised = _checked_sender(sender)
    with transaction():
        rows = opt_out_lists.page(_PAGE, addresses=addresses, sender=normalised)
    for row in rows:
        click.echo("  ".join(_fields(row)))
    click.echo(f"{len(rows)} opt-outs" + (" or more" if len(rows) == _PAGE else ""))


@group.command("add")
@click.argument("number")
@_SENDER
def add(number: str, sender: str | None) -> None:
    """Begin the opt-out of NUMBER: messages to it are not sent."""
    _checked_number(number)
    _checked_sender(sender)
    change.begin(number, sender, reason="operator", by=BY)
    click.echo(f"opted out of messages from {sender or 'every sender'}")


@group.command("remove")
@click.argument("number")
@_SENDER
def remove(number: str, sender: str | None) -> None:
    """End the opt-outs of NUMBER, after the recipient opted in again."""
    _checked_number(number)
    _checked_sender(sender)
    count = change.end(number, sender, reason="operator", by=BY)
    if not count:
        raise click.ClickException("no such opt-out; `opt-outs list` shows all")
    click.echo(f"removed {count}")


def _fields(row: OptOut) -> Iterator[str]:
    yield row.to
    yield f"from {row.sender}"
    yield row.provider
    yield f"{row.reason} {row.error_code}" if row.reason == "provider" else row.reason
    yield f"by {row.changed_by}"
    yield f"{row.since:%Y-%m-%d %H:%M:%S}Z"


def _checked_number(text: str) -> Sequence[str]:
    try:
        return pairs.listed(text)
    except Invalid as error:
        raise click.BadParameter(error.errors[0].message, param_hint="NUMBER") from None


def _checked_sender(text: str | None) -> str | None:
    try:
        return pairs.listed_sender(text)
    except Invalid as error:
        raise click.BadParameter(error.errors[0].message, param_hint="--sender") from None
