"""Audit: the accounting identity over the whole database, claim by claim.

In pieces, each in a short transaction: on a large database it takes minutes, and no statement of
it comes near the limit on a statement's time.
"""

from collections import Counter
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, Final, NamedTuple, TypeVar

from service.database import transaction
from service.domain.status import FINAL, Status
from service.operations import rebuild
from service.queries import audit as accounts
from service.queries.audit import Overdue

# What a sweep is to find within seconds has this long before its absence is a finding.
_GRACE: Final = timedelta(minutes=2)

Progress = Callable[[str, int], None]
_Result = TypeVar("_Result")


class Finding(NamedTuple):
    """One claim, with its figures, and whether it holds."""

    claim: str
    holds: bool


def _silent(_what: str, _rows: int) -> None:
    """Show no progress."""


def audit(progress: Progress = _silent) -> list[Finding]:
    """Check every claim about the accounts; `progress` is called with what is read, and how far."""
    before = datetime.now(UTC) - _GRACE
    by_status, late = _messages(before, progress)
    shared = sum(_pieces(accounts.shared_sids, "SIDs", progress))
    orphans = sum(
        _pieces(lambda after: accounts.adoptable_orphans(after, before), "orphans", progress)
    )
    missed = sum(_pieces(accounts.callbacks_missed, "events", progress))
    aside = sum(_pieces(accounts.set_aside, "dead letters", progress))
    compared = rebuild.rebuild(progress=lambda rows: progress("ledgers", rows))
    differing = sum(1 for _ in compared)
    return [
        _identity(by_status),
        _none("claims that outlived their lease", late.claims),
        _none("pending messages that nobody claimed", late.pending),
        _none("in doubt beyond their deadline", late.doubts),
        _none("SIDs that two attempts claim", shared),
        _none("orphans whose message is known", orphans),
        _none("messages that show something else than their ledger", differing),
        Finding(f"callbacks missed, their statuses asked for: {missed}", holds=True),
        Finding(f"for a person: {late.people} in doubt, {aside} dead letters", holds=True),
    ]


def _messages(before: datetime, progress: Progress) -> tuple[Counter[Status], Overdue]:
    by_status, late = Counter[Status](), Overdue()
    read = _pieces(lambda after: accounts.messages(after, before), "messages", progress)
    for piece in read:
        by_status += piece.by_status
        late = Overdue(*map(sum, zip(late, piece.overdue, strict=True)))
    return by_status, late


def _pieces(
    read: Callable[[Any], tuple[_Result, Any]], what: str, progress: Progress
) -> Iterator[_Result]:
    """Yield what is read of a table, piece by piece."""
    after, rows = None, 0
    while True:
        with transaction():
            result, after = read(after)
        yield result
        if after is None:
            return
        rows += accounts.PIECE
        progress(what, rows)


def _none(what: str, count: int) -> Finding:
    return Finding(f"{what}: {count}", count == 0)


def _identity(by_status: Counter[Status]) -> Finding:
    accepted = by_status.total()
    final = sum(count for status, count in by_status.items() if status in FINAL)
    doubt = by_status.get(Status.IN_DOUBT, 0)
    flight = sum(count for s, count in by_status.items() if s not in FINAL and s != Status.IN_DOUBT)
    claim = f"accepted {accepted} = final {final} + in flight {flight} + in doubt {doubt}"
    return Finding(claim, accepted == final + flight + doubt)
