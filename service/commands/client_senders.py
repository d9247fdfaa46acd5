"""Give senders to clients, in pools or not; list them, and take them back."""

from datetime import UTC, datetime
from typing import Final

import click
from flask.cli import AppGroup

from service import addresses
from service.components import components
from service.database import transaction
from service.models import Client
from service.queries import clients, senders
from service.sending.pools import pool_name

group = AppGroup("senders", help="Give senders to clients; list them, and take them back.")

_TEST: Final = click.option("--test", is_flag=True, help="Use the client of the test keys.")


@group.command("add")
@click.argument("name")
@click.argument("sender")
@click.option("--pool", help="Pool in which to put the sender. Without it, it is in no pool.")
@_TEST
def add(name: str, sender: str, pool: str | None, test: bool) -> None:
    """Give SENDER to the client NAME; a sender has one owner.

    SENDER is a number, a short code, a name, or the id of a Messaging Service. Give a client its
    sender again to change the pool.
    """
    normalised, pool = _normalised(sender), _checked_pool(pool)
    with transaction():
        client = _client(name, test=test)
        if not senders.add(normalised, client.id, pool, datetime.now(UTC)):
            raise _belongs_to_another(normalised)
    click.echo(f"{normalised} belongs to {_shown(client)}{_in_pool(pool)}")


@group.command("list")
@click.argument("name", required=False)
def list_senders(name: str | None) -> None:
    """List the senders of the client NAME, or of all clients, with their pools."""
    for sender, client in senders.listed(name=name):
        click.echo(f"{_shown(client)}  {sender.sender}{_in_pool(sender.pool)}")


@group.command("remove")
@click.argument("name")
@click.argument("sender")
@_TEST
def remove(name: str, sender: str, test: bool) -> None:
    """Take SENDER from the client NAME. Accepted messages are still sent from it."""
    normalised = _normalised(sender)
    with transaction():
        client = _client(name, test=test)
        removed = senders.remove(normalised, client.id)
    if not removed:
        raise click.ClickException(
            f"{normalised} does not belong to {_shown(client)}; `clients senders list` shows owners"
        )
    click.echo(f"{normalised} no longer belongs to {_shown(client)}")


def _belongs_to_another(sender: str) -> click.ClickException:
    [(_, owner)] = senders.listed(sender=sender)
    option = " --test" if owner.test else ""
    return click.ClickException(
        f"{sender} belongs to {_shown(owner)}; take it back first: "
        f'clients senders remove {owner.name} "{sender}"{option}'
    )


def _normalised(sender: str) -> str:
    """Return a sender as messages store it. Raises BadParameter."""
    try:
        return addresses.service_or_sender(sender, components().settings.default_region)
    except addresses.UnusableAddress as error:
        raise click.BadParameter(str(error), param_hint="SENDER") from None


def _checked_pool(pool: str | None) -> str | None:
    """Return the name of a pool as messages name it. Raises BadParameter."""
    try:
        return None if pool is None else pool_name(pool)
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="--pool") from None


def _client(name: str, *, test: bool) -> Client:
    """Return a client. Raises ClickException if it does not exist."""
    client = clients.find(name, test=test)
    if client is None:
        option = " --test" if test else ""
        raise click.ClickException(
            f"no client is called {name}; create it first: clients create {name}{option}"
        )
    return client


def _shown(client: Client) -> str:
    return f"{client.name} (test)" if client.test else client.name


def _in_pool(pool: str | None) -> str:
    return "" if pool is None else f", pool {pool}"
