"""Callbacks that could not be recorded: read them, and give them another chance."""

import click
from flask.cli import AppGroup

from service.queries import callbacks
from service.recording import return_to_inbox

group = AppGroup("dead-letters", help="Callbacks that could not be recorded.")

_PAGE = 1000


@group.command("list")
def list_letters() -> None:
    """List them, oldest first: number, when it came, from whom, what went wrong."""
    letters = callbacks.dead_letters(_PAGE)
    for letter in letters:
        click.echo(
            f"{letter.id:>6}  {letter.received_at:%Y-%m-%d %H:%M:%S}Z  {letter.provider}  "
            f"{letter.error}"
        )
    click.echo(f"{len(letters)} dead letters" + (" or more" if len(letters) == _PAGE else ""))


@group.command("replay")
@click.argument("numbers", nargs=-1, type=int)
@click.option("--all", "everything", is_flag=True, help="Replay the oldest, up to 500.")
def replay(numbers: tuple[int, ...], everything: bool) -> None:
    """Put dead letters back into the inbox, by NUMBERS or the oldest.

    Those that still cannot be recorded become dead letters again.
    """
    if bool(numbers) == everything:
        raise click.UsageError("name the letters to replay, or give --all")
    count = return_to_inbox.replay_dead_letters(None if everything else numbers)
    click.echo(f"replayed {count}")
