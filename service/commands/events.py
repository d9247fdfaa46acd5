"""Show the events of clients as the event feed does, and start the feed again after a restore."""

from collections.abc import Iterator, Sequence
from time import sleep
from typing import Final

import click
import orjson
from flask.cli import AppGroup

from service.database import transaction
from service.errors import Gone
from service.event_feed import operate
from service.event_feed.cursor import Cursor, decode, encode
from service.models import Event
from service.queries import clients
from service.representations.events import event_id
from service.representations.messages import time_text

group = AppGroup("events", help="Show the events of clients; start their feed again.")

_PAGE: Final = 500
# Seconds between two queries of `--follow`.
_PAUSE: Final = 1.0


@group.command("tail")
@click.option("--client", help="Only events of the client of this name.")
@click.option("--after", help="Begin behind this cursor, in place of the last events.")
@click.option("--lines", type=click.IntRange(1, _PAGE), default=10, show_default=True,
              help="How many of the last events.")  # fmt: skip
@click.option("--follow", is_flag=True, help="Go on with new events until you press Ctrl-C.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object in each line.")
def tail(client: str | None, after: str | None, lines: int, follow: bool, as_json: bool) -> None:
    """Show the last events, or those behind a cursor, and then the cursor behind them.

    Each with the status as the event left it. Nothing in it is personal.
    """
    names = _names(client)
    try:
        pages = _pages(names, after, lines, follow=follow)
        for shown, cursor in pages:
            _echo(shown, names, as_json=as_json)
            last = cursor
    except KeyboardInterrupt:
        pass
    except Gone as error:
        raise click.ClickException(error.detail) from None
    click.echo(f"next cursor: {encode(last)}", err=True)


@group.command("restart")
@click.confirmation_option(prompt="End the cursors of all clients?")
def restart() -> None:
    """Start the feed again, after the database was restored or has lost transactions.

    Every cursor of a client ends with 410: it reads its messages, and starts again.
    """
    count = operate.restart()
    click.echo(f"the feed begins with {count} kept events; now restart the web servers")


def _names(client: str | None) -> dict[int, str]:
    with transaction():
        names = clients.all_names()
    chosen = {number: name for number, name in names.items() if client in (None, name)}
    if client is not None and not chosen:
        raise click.BadParameter(f"there is no client {client!r}", param_hint="--client")
    return chosen


def _cursor(text: str) -> Cursor:
    try:
        return decode(text)
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="--after") from None


def _pages(
    names: dict[int, str], after: str | None, lines: int, *, follow: bool
) -> Iterator[tuple[Sequence[Event], Cursor]]:
    if after is None:
        shown, cursor = operate.latest(names, lines)
    else:
        shown, cursor = operate.following(names, _cursor(after), _PAGE)
    yield shown, cursor
    while follow or len(shown) == _PAGE:
        if len(shown) < _PAGE:
            sleep(_PAUSE)
        shown, cursor = operate.following(names, cursor, _PAGE)
        yield shown, cursor


def _echo(events: Sequence[Event], names: dict[int, str], *, as_json: bool) -> None:
    for event in events:
        line = {
            "timestamp": time_text(event.created_at),
            "id": event_id(event),
            "client": names[event.client_id],
            "type": event.type,
            "message_id": event.message_id,
            "status": event.status,
            "version": event.version,
        }
        plain = "  ".join(str(value) for value in line.values())
        click.echo(orjson.dumps(line).decode() if as_json else plain)
