"""Checks that every accepted message is accounted for, over the whole database.

The tables are read in batches, each in a short transaction: a large database takes minutes, and no
statement comes near the statement timeout.
"""

from collections import Counter
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, Final, NamedTuple, TypeVar

from service.database import transaction
from service.domain.status import FINAL, Status
from service.operations import rebuild
from service.queries import audit as queries
from service.queries.audit import Overdue

# Sweeps find these messages within seconds; later than this, they are a finding.
_GRACE: Final = timedelta(minutes=2)

Progress = Callable[[str, int], None]
_Result = TypeVar("_Result")


class Finding(NamedTuple):
    """The result of one check, with its figures."""

    text: str
    holds: bool


def _no_progress(_name: str, _rows: int) -> None:
    """Do nothing."""


def audit(progress: Progress = _no_progress) -> list[Finding]:
    """Run every check; `progress` is called with the name of the rows and how many were read."""
    before = datetime.now(UTC) - _GRACE
    by_status, overdue = _messages(before, progress)
    shared = sum(_batches(queries.shared_sids, "SIDs", progress))
    orphans = sum(
        _batches(lambda after: queries.adoptable_orphans(after, before), "orphans", progress)
    )
    missed = sum(_batches(queries.callbacks_missed, "events", progress))
    dead_letters = sum(_batches(queries.dead_letters, "dead letters", progress))
    differences = rebuild.rebuild(progress=lambda rows: progress("ledgers", rows))
    differing = sum(1 for _ in differences)
    return [
        _identity(by_status),
        _none("expired claims that were not released", overdue.claims),
        _none("due messages that no worker claimed", overdue.pending),
        _none("messages in doubt with an overdue look-up", overdue.doubts),
        _none("SIDs that belong to two attempts", shared),
        _none("orphans whose message exists", orphans),
        _none("messages that differ from their ledger", differing),
        Finding(f"missed callbacks, found by polling: {missed}", holds=True),
        Finding(
            f"need a person: {overdue.undecided} in doubt, {dead_letters} dead letters", holds=True
        ),
    ]


def _messages(before: datetime, progress: Progress) -> tuple[Counter[Status], Overdue]:
    by_status, overdue = Counter[Status](), Overdue()
    for batch in _batches(lambda after: queries.messages(after, before), "messages", progress):
        by_status += batch.by_status
        overdue = Overdue(*map(sum, zip(overdue, batch.overdue, strict=True)))
    return by_status, overdue


def _batches(
    read: Callable[[Any], tuple[_Result, Any]], name: str, progress: Progress
) -> Iterator[_Result]:
    """Yield the result of each batch of a table."""
    after, rows = None, 0
    while True:
        with transaction():
            result, after = read(after)
        yield result
        if after is None:
            return
        rows += queries.BATCH
        progress(name, rows)


def _none(name: str, count: int) -> Finding:
    return Finding(f"{name}: {count}", count == 0)


def _identity(by_status: Counter[Status]) -> Finding:
    accepted, in_doubt = by_status.total(), by_status[Status.IN_DOUBT]
    final = sum(by_status[status] for status in FINAL)
    in_flight = sum(by_status[status] for status in set(Status) - FINAL - {Status.IN_DOUBT})
    text = f"accepted {accepted} = final {final} + in flight {in_flight} + in doubt {in_doubt}"
    return Finding(text, accepted == final + in_flight + in_doubt)
