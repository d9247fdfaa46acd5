"""Create, list and revoke the API keys of clients."""

from datetime import UTC, datetime
from typing import Final

import click
from flask.cli import AppGroup

from service.commands import client_senders
from service.commands.keys import check_name, echo_key, echo_revoked
from service.components import components
from service.database import transaction
from service.models import ApiKey
from service.queries import clients, keys

_ACCOUNT_HELP: Final = "Account of the client's messages that name none."


def _check_account(account: str | None) -> None:
    """Raise BadParameter unless a provider has an account of this name."""
    configured = {name for accounts in components().settings.accounts.values() for name in accounts}
    if account is not None and account not in configured:
        names = ", ".join(sorted(configured))
        raise click.BadParameter(
            f"must be an account of a provider: {names}", param_hint="--account"
        )


group = AppGroup(
    "clients",
    help="Create, list and revoke the API keys of internal services, and set their accounts and "
    "senders.",
)
group.add_command(client_senders.group)


@group.command("create")
@click.argument("name")
@click.option("--test", is_flag=True, help="Create a test key: its messages are never sent.")
@click.option("--account", help=_ACCOUNT_HELP)
def create(name: str, test: bool, account: str | None) -> None:
    """Create an API key for the client NAME and print it. It is not shown again.

    The client is created if it does not exist.
    """
    check_name(name)
    _check_account(account)
    prefix = keys.TEST_CLIENT if test else keys.CLIENT
    with transaction():
        client_id = clients.ensure(name, datetime.now(UTC), test=test)
        if account is not None:
            clients.set_account(client_id, account)
        key = keys.create(ApiKey, prefix, client_id=client_id)
    click.echo(key)


@group.command("list")
def list_keys() -> None:
    """List every key: number, client, its account if it has one, first characters, date, state."""
    for key, client in clients.list_keys():
        name = f"{client.name} (test)" if client.test else client.name
        echo_key(key, name if client.account is None else f"{name}, account {client.account}")


@group.command("set")
@click.argument("name")
@click.option("--test", is_flag=True, help="Change the client of the test keys.")
@click.option("--account", help=_ACCOUNT_HELP)
@click.option("--no-account", is_flag=True, help="Choose the account by the settings again.")
def set_account(name: str, test: bool, account: str | None, no_account: bool) -> None:
    """Change the account of the client NAME for its next messages."""
    if (account is None) != no_account:
        raise click.UsageError("give either --account or --no-account")
    _check_account(account)
    with transaction():
        client = clients.find(name, test=test)
        if client is None:
            raise click.ClickException(f"no client is called {name}; `list` shows the clients")
        clients.set_account(client.id, account)
    click.echo(f"account of {name}: {account or 'as configured'}")


@group.command("revoke")
@click.argument("key_id", metavar="NUMBER", type=int)
def revoke(key_id: int) -> None:
    """Revoke the key with this NUMBER (see `list`). The API refuses it immediately."""
    with transaction():
        revoked = keys.revoke(ApiKey, key_id)
    echo_revoked(key_id, revoked=revoked)
