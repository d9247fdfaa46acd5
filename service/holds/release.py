"""Make messages due that waited for a hold, when it ends or is to be tried."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

from service.domain.scope import HOLDING
from service.models import Hold
from service.queries import holds

# Messages of one step: the claims of other holds' messages go on meanwhile.
_BATCH: Final = 1_000
# A claim that read the hold before its end may park messages after it, and a locked message is
# skipped. Longer than any transaction of a claim.
_GRACE: Final = timedelta(seconds=60)


def release(loaded: Sequence[Hold], now: datetime) -> bool:
    """Make messages of ended holds due, and one of each hold to probe; tell if more remain."""
    more = False
    for hold in loaded:
        if hold.kind not in HOLDING:  # no message waits for it
            if hold.ended_at is not None:
                holds.released(hold.id, now)
        elif hold.ended_at is not None:
            if holds.make_due(hold.id, _BATCH, now) == _BATCH:
                more = True
            elif hold.ended_at + _GRACE <= now:
                holds.released(hold.id, now)
        elif hold.probe_at is not None and hold.probe_at <= now:
            holds.make_due(hold.id, 1, now)
    return more
