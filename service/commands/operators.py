"""Create, list and revoke operators' keys; list and end their sessions."""

from datetime import UTC, datetime

import click
from flask.cli import AppGroup

from service.commands.keys import check_name, echo_key, echo_revoked
from service.components import components
from service.config.settings import SESSIONS_NEED_A_KEY
from service.database import transaction
from service.models import OperatorKey
from service.operations import operator_sessions
from service.queries import keys, operators

group = AppGroup("operators", help="Manage the keys and sessions of people who log in at /ops.")


@group.command("create")
@click.argument("name")
def create(name: str) -> None:
    """Create a key for the operator NAME and print it. It is not shown again."""
    check_name(name)
    if components().settings.ops_secret is None:
        raise click.ClickException(f"OPS_SECRET {SESSIONS_NEED_A_KEY}")
    with transaction():
        key = keys.create(OperatorKey, keys.OPERATOR, name=name)
    click.echo(key)


@group.command("list")
def list_keys() -> None:
    """List every key: number, operator, first characters, date, state."""
    for key in operators.list_keys():
        echo_key(key, key.name)


@group.command("revoke")
@click.argument("key_id", metavar="NUMBER", type=int)
def revoke(key_id: int) -> None:
    """Revoke the key with this NUMBER (see `list`) and end its sessions immediately."""
    with transaction():
        revoked = operators.revoke(key_id, datetime.now(UTC))
    echo_revoked(key_id, revoked=revoked)


@group.command("sessions")
def list_sessions() -> None:
    """List the open sessions: number, operator, key, start, last use."""
    sessions = operator_sessions.open_sessions()
    for session in sessions:
        click.echo(
            f"{session.id:>4}  {session.operator}  key {session.key_id}  "
            f"since {session.created_at:%Y-%m-%d %H:%M:%S}Z  "
            f"seen {session.seen_at:%Y-%m-%d %H:%M:%S}Z"
        )
    click.echo(f"{len(sessions)} open sessions")


@group.command("log-out")
@click.argument("session_ids", metavar="[NUMBERS]...", nargs=-1, type=int)
@click.option("--all", "all_sessions", is_flag=True, help="End every session.")
def log_out(session_ids: tuple[int, ...], all_sessions: bool) -> None:
    """End the sessions with these NUMBERS (see `sessions`) immediately, on every web server."""
    if bool(session_ids) == all_sessions:
        raise click.UsageError("give either session numbers or --all")
    click.echo(f"ended {operator_sessions.end(None if all_sessions else session_ids)} sessions")
