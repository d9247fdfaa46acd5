"""Compare the suppression list with the inbound messages that changed it.

The list holds more than they say: opt-outs from providers, clients and operators, and from messages
that are deleted. So a row that no message explains is not a difference.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from service.database import transaction
from service.domain.keywords import Keyword
from service.models import InboundMessage, OptOut
from service.opt_outs.apply import apply
from service.opt_outs.change import changes_in
from service.queries import audit, inbound_audit
from service.queries.opt_outs import Change, Pair


class Missed(NamedTuple):
    """A message whose word the suppression list does not follow."""

    message: InboundMessage
    change: Change


def rebuild(
    *, write: bool = False, progress: Callable[[int], None] = lambda _rows: None
) -> Iterator[Missed]:
    """Yield every change that the list misses; with `write` also apply it.

    `progress` is called with the number of inbound messages read.
    """
    after, read = None, 0
    while True:
        with transaction():
            messages, after = inbound_audit.keywords(after)
            missed = list(_missed(messages)) if messages else []
            if write and missed:
                apply([each.change for each in missed])
        yield from missed
        if after is None:
            return
        read += audit.BATCH
        progress(read)


def _missed(messages: Sequence[InboundMessage]) -> Iterator[Missed]:
    changes = [
        Missed(message, change)
        for message in messages
        for change in changes_in(message, begins=message.keyword == Keyword.STOP)
    ]
    rows = inbound_audit.opt_outs_of({change.pair.to for _, change in changes})
    stored = {Pair(row.to, row.sender, row.provider): row for row in rows}
    return (each for each in changes if _is_missed(each.change, stored.get(each.change.pair)))


def _is_missed(change: Change, row: OptOut | None) -> bool:
    """Tell whether the list contradicts a change and has changed last before it."""
    if row is None:
        return True
    return row.active != change.begins and row.since < change.at
