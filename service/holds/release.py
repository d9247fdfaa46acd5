"""Make messages due that waited for a hold, when it ends or is to be tried."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from service.models import Hold
from service.queries import holds

# Messages of one step: the claims of other holds' messages go on meanwhile.
_BATCH: Final = 1_000


def release(loaded: Sequence[Hold], now: datetime) -> bool:
    """Make messages of ended holds due, and one of each hold to probe; tell if more remain."""
    more = False
    for hold in loaded:
        if hold.ended_at is not None:
            if holds.make_due(hold.id, _BATCH, now) < _BATCH:
                holds.released(hold.id, now)
            else:
                more = True
        elif hold.probe_at is not None and hold.probe_at <= now:
            holds.make_due(hold.id, 1, now)
    return more
