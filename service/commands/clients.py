"""Who may send: make, list and revoke their keys."""

from datetime import UTC, datetime

import click
from flask.cli import AppGroup

from service.database import db, transaction
from service.models import ApiKey, Client
from service.queries import clients
from service.web.api.authentication import digest_of, hint_of, new_key

group = AppGroup("clients", help="The internal services that may send, and their keys.")


@group.command("create")
@click.argument("name")
@click.option("--test", is_flag=True, help="A key whose messages reach nobody.")
def create(name: str, test: bool) -> None:
    """Make a key for the client NAME and print it, once. The client is made if it is new."""
    if not 0 < len(name) <= 100:
        raise click.BadParameter("a name has 1 to 100 characters", param_hint="NAME")
    key, now = new_key(test=test), datetime.now(UTC)
    with transaction():
        client = clients.named(name, test=test) or Client(name=name, test=test, created_at=now)
        db.session.add(client)
        db.session.flush()
        hint = hint_of(key, test=test)
        db.session.add(
            ApiKey(client_id=client.id, hint=hint, digest=digest_of(key), created_at=now)
        )
    click.echo(key)


@group.command("list")
def list_keys() -> None:
    """List every key: number, client, first characters, state."""
    for key, client in clients.every_key():
        state = f"revoked {key.revoked_at:%Y-%m-%d}" if key.revoked_at else "live"
        name = f"{client.name} (test)" if client.test else client.name
        click.echo(f"{key.id:>4}  {name}  {key.hint}…  made {key.created_at:%Y-%m-%d}  {state}")


@group.command("revoke")
@click.argument("key_id", type=int)
def revoke(key_id: int) -> None:
    """Revoke the key with this number (see `list`). It stops working at once."""
    with transaction():
        if not clients.revoke(key_id, datetime.now(UTC)):
            raise click.ClickException(f"there is no live key number {key_id}")
    click.echo(f"revoked key {key_id}")
