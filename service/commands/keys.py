"""What the commands for client keys and operator keys share."""

import click

from service.models.keys import Key


def check_name(name: str) -> None:
    """Raise BadParameter unless a name fits its column."""
    if not 0 < len(name) <= 100:
        raise click.BadParameter("must have 1 to 100 characters", param_hint="NAME")


def echo_key(key: Key, owner: str) -> None:
    """Print number, owner, first characters, date and state of a key."""
    state = f"revoked {key.revoked_at:%Y-%m-%d}" if key.revoked_at else "live"
    click.echo(f"{key.id:>4}  {owner}  {key.hint}…  created {key.created_at:%Y-%m-%d}  {state}")


def echo_revoked(key_id: int, *, revoked: bool) -> None:
    """Print that a key is revoked. Raises ClickException if it was not live."""
    if not revoked:
        raise click.ClickException(f"no live key has number {key_id}; `list` shows the numbers")
    click.echo(f"revoked key {key_id}")
