"""Applies changes of opt-outs, and logs and counts what began and ended."""

from collections.abc import Iterable
from functools import partial
from itertools import count
from typing import Final

from service.database import after_commit
from service.observability import events
from service.observability.metrics import counting
from service.queries import opt_outs
from service.queries.opt_outs import Change, Effect

_numbers: Final = count()


def apply(changes: Iterable[Change]) -> int:
    """Apply changes in this transaction; return how many opt-outs began or ended."""
    effects = opt_outs.change(changes)
    if effects:
        after_commit(f"opt-outs {next(_numbers)}", partial(_announce, effects))
    return sum(effect.number for effect in effects)


def _announce(effects: Iterable[Effect], _: str) -> None:
    for effect in effects:
        events.opt_outs_changed(effect.begins, effect.reason, effect.changed_by, effect.number)
        counting.opt_outs_changed(effect.begins, effect.reason, effect.number)
