"""Returns callbacks from the overflow table and dead letters to the inbox."""

import time
from collections.abc import Callable, Collection, Sequence
from typing import Final

from service.components import components
from service.database import transaction
from service.errors import InboxUnavailable, NotReplicated
from service.models import DeadLetter, Overflow
from service.queries import callbacks
from service.task_queue.queue import CONSUME_INBOX

# Rows of one transaction. On SQLite no other process writes meanwhile.
_OVERFLOW_BATCH: Final = 100
_DEAD_LETTER_BATCH: Final = 500
# Seconds for which one task works.
_RUN_SECONDS: Final = 3.0


def drain_overflow() -> int:
    """Return callbacks that were stored while the inbox was unavailable; return how many."""
    until, done, more = time.monotonic() + _RUN_SECONDS, 0, True
    while more and time.monotonic() < until and components().inbox.has_room():
        count = _return(callbacks.oldest_overflow, callbacks.delete_overflow, _OVERFLOW_BATCH)
        done, more = done + count, count == _OVERFLOW_BATCH
    return done


def replay_dead_letters(ids: Collection[int] | None) -> int:
    """Return dead letters with these ids, or the oldest 500 for None; return how many."""
    return _return(
        lambda limit: callbacks.dead_letters(limit, ids, lock=True),
        callbacks.delete_dead_letters,
        _DEAD_LETTER_BATCH,
    )


def _return(
    lock: Callable[[int], Sequence[Overflow | DeadLetter]],
    drop: Callable[[Sequence[int]], None],
    limit: int,
) -> int:
    """Put rows into the inbox, and delete those that are in it. Raises errors of `put`.

    In one transaction, so that no other process reads the rows meanwhile. If a put is answered too
    late, or the commit fails, some are returned twice: the ledger counts them as repeats.
    """
    returned, failure = list[int](), None
    with transaction():
        for row in lock(limit):
            try:
                components().inbox.put(callbacks.callback_of(row))
            except (InboxUnavailable, NotReplicated) as error:
                failure = error  # not replicated: it stays in the table, too
                break
            returned.append(row.id)
        drop(returned)
    if returned:
        components().queue.request(CONSUME_INBOX)
    if failure is not None:
        raise failure
    return len(returned)
