"""Park messages that wait for a hold; make them due when it ends or is to be tried."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Final
from uuid import UUID

from service.domain.scope import HOLDING, HoldKind
from service.holds import blocks
from service.models import Hold
from service.queries import held_messages, holds

# Messages of one step: the claims of other holds' messages go on meanwhile.
_BATCH: Final = 1_000


def park(message_ids: Mapping[int, Sequence[UUID]], now: datetime) -> None:
    """Park claimed messages, by hold. If it ended meanwhile, they are due again immediately.

    The end of a hold waits for the transactions that park messages on it, so that `release` finds
    them.
    """
    active = holds.lock_active(message_ids)
    for hold_id, ids in message_ids.items():
        if hold_id in active:
            held_messages.park(ids, hold_id)
        else:
            held_messages.put_back(ids, now)


def release(loaded: Sequence[Hold], now: datetime) -> bool:
    """Make messages of ended holds due, and one of each hold to probe; tell if more remain."""
    more = False
    for hold in loaded:
        if hold.kind not in HOLDING:  # no message waits for it
            continue
        if hold.ended_at is not None:
            if held_messages.make_due(hold.id, _BATCH, now) < _BATCH:
                holds.released(hold.id, now)
            else:
                more = True
        elif blocks.end_if_arrived(hold, now):
            more = True
        elif hold.probe_at is not None and hold.probe_at <= now and not _is_paused(hold, loaded):
            held_messages.make_due(hold.id, 1, now)
    return more


def _is_paused(hold: Hold, loaded: Sequence[Hold]) -> bool:
    """Tell whether a pause covers a block: then no message can probe it."""
    return any(
        pause.kind == HoldKind.PAUSED
        and pause.ended_at is None
        and pause.provider in ("", hold.provider)
        and pause.account in ("", hold.account)
        and pause.value in ("", hold.value)
        for pause in loaded
    )
