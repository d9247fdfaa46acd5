"""Applies changes of opt-outs, and logs and counts what began and ended."""

from collections.abc import Iterable
from functools import partial
from itertools import count
from typing import Final

from service.database import after_commit
from service.observability import events
from service.observability.metrics import counting
from service.queries import opt_outs
from service.queries.opt_outs import Change, Turn

_numbers: Final = count()


def apply(changes: Iterable[Change]) -> int:
    """Apply changes in this transaction; return how many opt-outs began or ended."""
    turns = opt_outs.change(changes)
    if turns:
        after_commit(f"opt-outs {next(_numbers)}", partial(_announce, turns))
    return sum(turn.number for turn in turns)


def _announce(turns: Iterable[Turn], _: str) -> None:
    for turn in turns:
        events.opt_outs_changed(turn.begins, turn.reason, turn.changed_by, turn.number)
        counting.opt_outs_changed(turn.begins, turn.reason, turn.number)
