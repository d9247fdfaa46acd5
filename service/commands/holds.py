"""List what is blocked or paused; pause, resume, release, and postpone a probe."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import click
from flask.cli import AppGroup

from service.domain.scope import HoldKind
from service.errors import ClientError
from service.models import Hold
from service.operations import holds
from service.operations.holds import ListedHold

group = AppGroup("holds", help="List, pause, resume and release what is blocked or paused.")

# Stands for the operator of a command.
_OPERATOR: Final = "command line"
_SCOPES: Final = {
    "provider": "All messages of a provider, by its name.",
    "account": "All messages of one account: PROVIDER/ACCOUNT.",
    "sender": "All messages of a sender: a number, a name or a Messaging Service.",
    "client": "All messages of a client of the API, by its name.",
}


def _scope_options(command: Callable[..., None]) -> Callable[..., None]:
    for name, text in reversed(_SCOPES.items()):
        command = click.option(f"--{name}", help=text)(command)
    return command


@group.command("list")
def list_holds() -> None:
    """List what is blocked or paused, why, and how many messages wait; then what has ended."""
    listed = holds.read_holds(datetime.now(UTC))
    for item in listed.active:
        click.echo("\n".join(_lines(item)))
    if not listed.active:
        click.echo("nothing is blocked or paused")
    for item in listed.ended:
        hold = item.hold
        by = f" by {hold.ended_by}" if hold.ended_by else ""
        click.echo(f"ended {_time(hold.ended_at)}{by}: {hold.id}  {hold.kind} {item.what}")


@group.command("pause")
@_scope_options
@click.option("--reason", default="", help="Shown to operators.")
def pause(reason: str, **scopes: str | None) -> None:
    """Pause one provider, account, sender or client. Deadlines of its messages still count."""
    kind, name = _scope(scopes)
    hold = _run(lambda: holds.pause(kind, name, reason, _OPERATOR))
    click.echo(f"paused {kind} {name}: its messages wait (hold {hold.id}); `holds resume` ends it")


@group.command("resume")
@_scope_options
def resume(**scopes: str | None) -> None:
    """Send again what `pause` stopped."""
    kind, name = _scope(scopes)
    _run(lambda: holds.resume(kind, name, _OPERATOR))
    click.echo(f"resumed {kind} {name}; its messages are due")


@group.command("release")
@click.argument("hold_id", metavar="NUMBER", type=int)
def release(hold_id: int) -> None:
    """End the hold with this NUMBER (see `list`) now: its messages are due."""
    _run(lambda: holds.release(hold_id, _OPERATOR))
    click.echo(f"released hold {hold_id}; its messages are due")


@group.command("extend")
@click.argument("hold_id", metavar="NUMBER", type=int)
@click.option("--seconds", type=click.IntRange(1, 30 * 86_400), help="From now.")
@click.option("--until", type=click.DateTime(), help="A time in UTC.")
def extend(hold_id: int, seconds: int | None, until: datetime | None) -> None:
    """Try the block with this NUMBER (see `list`) not before a time."""
    if (seconds is None) == (until is None):
        raise click.UsageError("give either --seconds or --until")
    time = until or datetime.now(UTC) + timedelta(seconds=seconds or 0)
    time = time.replace(tzinfo=UTC)
    _run(lambda: holds.extend(hold_id, time, _OPERATOR))
    click.echo(f"the next probe of hold {hold_id} is at {_time(time)}")


def _scope(scopes: dict[str, Any]) -> tuple[str, str]:
    chosen = [(kind, name) for kind, name in scopes.items() if name is not None]
    if len(chosen) != 1:
        raise click.UsageError("give one of --provider, --account, --sender and --client")
    return chosen[0]


def _run(action: Callable[[], Hold]) -> Hold:
    try:
        return action()
    except ClientError as error:
        raise click.ClickException(error.detail) from None


def _lines(item: ListedHold) -> list[str]:
    hold = item.hold
    code = f" (code {hold.code})" if hold.code else ""
    by = f" by {hold.started_by}" if hold.started_by else ""
    lines = [
        f"{hold.id:>4}  {hold.kind} {item.what}, since {_time(hold.started_at)}{by}; "
        f"messages that wait: {item.waiting}"
    ]
    if hold.reason or code:
        lines.append(f"      {hold.reason}{code}")
    if hold.kind == HoldKind.BLOCKED:
        lines.append(f"      next probe {_time(hold.probe_at)}, probes so far: {hold.probes}")
    return lines


def _time(time: datetime | None) -> str:
    return "none" if time is None else f"{time.astimezone(UTC):%Y-%m-%d %H:%M:%S}Z"
