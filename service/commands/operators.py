"""Operators: make, list and revoke their keys; list and end their sessions."""

from datetime import UTC, datetime

import click
from flask.cli import AppGroup

from service.components import components
from service.config.settings import SESSIONS_NEED_A_KEY
from service.database import db, transaction
from service.models import OperatorKey
from service.operations import operator_sessions
from service.queries import operators
from service.web.api.authentication import digest_of, new_operator_key

group = AppGroup("operators", help="The people who may log in at /ops, and their keys.")


@group.command("create")
@click.argument("name")
def create(name: str) -> None:
    """Make a key for the operator NAME and print it, once."""
    if not 0 < len(name) <= 100:
        raise click.BadParameter("a name has 1 to 100 characters", param_hint="NAME")
    if components().settings.ops_secret is None:
        raise click.ClickException(f"OPS_SECRET {SESSIONS_NEED_A_KEY}")
    key = new_operator_key()
    with transaction():
        db.session.add(
            OperatorKey(
                name=name, hint=key[:9], digest=digest_of(key), created_at=datetime.now(UTC)
            )
        )
    click.echo(key)


@group.command("list")
def list_keys() -> None:
    """List every key: number, operator, first characters, state."""
    for key in operators.every_key():
        state = f"revoked {key.revoked_at:%Y-%m-%d}" if key.revoked_at else "live"
        click.echo(f"{key.id:>4}  {key.name}  {key.hint}…  made {key.created_at:%Y-%m-%d}  {state}")


@group.command("revoke")
@click.argument("key_id", type=int)
def revoke(key_id: int) -> None:
    """Revoke the key with this number (see `list`). Whoever is logged in with it is out at once."""
    with transaction():
        if not operators.revoke(key_id, datetime.now(UTC)):
            raise click.ClickException(f"there is no live key number {key_id}")
    click.echo(f"revoked key {key_id}")


@group.command("sessions")
def list_sessions() -> None:
    """List the open sessions: number, operator, key, when it began and was last in use."""
    sessions = operator_sessions.open_sessions()
    for session in sessions:
        click.echo(
            f"{session.id:>4}  {session.operator}  key {session.key_id}  "
            f"since {session.created_at:%Y-%m-%d %H:%M:%S}Z  "
            f"seen {session.seen_at:%Y-%m-%d %H:%M:%S}Z"
        )
    click.echo(f"{len(sessions)} open sessions")


@group.command("log-out")
@click.argument("session_ids", nargs=-1, type=int)
@click.option("--all", "everybody", is_flag=True, help="End every session.")
def log_out(session_ids: tuple[int, ...], everybody: bool) -> None:
    """End the sessions with these numbers (see `sessions`), immediately, on every web server."""
    if bool(session_ids) == everybody:
        raise click.UsageError("name the sessions to end, or give --all")
    click.echo(f"ended {operator_sessions.end(None if everybody else session_ids)} sessions")
