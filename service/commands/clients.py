"""Create, list and revoke the API keys of clients."""

from datetime import UTC, datetime

import click
from flask.cli import AppGroup

from service.commands.keys import check_name, echo_key, echo_revoked
from service.database import transaction
from service.models import ApiKey
from service.queries import clients, keys

group = AppGroup("clients", help="Create, list and revoke the API keys of internal services.")


@group.command("create")
@click.argument("name")
@click.option("--test", is_flag=True, help="Create a test key: its messages are never sent.")
def create(name: str, test: bool) -> None:
    """Create an API key for the client NAME and print it. It is not shown again.

    The client is created if it does not exist.
    """
    check_name(name)
    prefix = keys.TEST_CLIENT if test else keys.CLIENT
    with transaction():
        client_id = clients.ensure(name, datetime.now(UTC), test=test)
        key = keys.create(ApiKey, prefix, client_id=client_id)
    click.echo(key)


@group.command("list")
def list_keys() -> None:
    """List every key: number, client, first characters, date, state."""
    for key, client in clients.list_keys():
        echo_key(key, f"{client.name} (test)" if client.test else client.name)


@group.command("revoke")
@click.argument("key_id", metavar="NUMBER", type=int)
def revoke(key_id: int) -> None:
    """Revoke the key with this NUMBER (see `list`). The API refuses it immediately."""
    with transaction():
        revoked = keys.revoke(ApiKey, key_id)
    echo_revoked(key_id, revoked=revoked)
