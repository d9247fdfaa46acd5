"""List and replay dead letters: callbacks that could not be recorded."""

import click
from flask.cli import AppGroup

from service.queries import callbacks
from service.recording import return_to_inbox

group = AppGroup("dead-letters", help="List and replay callbacks that could not be recorded.")

_PAGE = 1000


@group.command("list")
def list_dead_letters() -> None:
    """List dead letters, oldest first: number, time, provider, error."""
    letters = callbacks.dead_letters(_PAGE)
    for letter in letters:
        click.echo(
            f"{letter.id:>6}  {letter.received_at:%Y-%m-%d %H:%M:%S}Z  {letter.provider}  "
            f"{letter.error}"
        )
    click.echo(f"{len(letters)} dead letters" + (" or more" if len(letters) == _PAGE else ""))


@group.command("replay")
@click.argument("numbers", metavar="[NUMBERS]...", nargs=-1, type=int)
@click.option("--all", "replay_all", is_flag=True, help="Replay the 500 oldest.")
def replay(numbers: tuple[int, ...], replay_all: bool) -> None:
    """Put the dead letters with these NUMBERS (see `list`) back into the inbox.

    Callbacks that still cannot be recorded become dead letters again.
    """
    if bool(numbers) == replay_all:
        raise click.UsageError("give either dead letter numbers or --all")
    count = return_to_inbox.replay_dead_letters(None if replay_all else numbers)
    click.echo(f"replayed {count}")
