"""Checks that every accepted message is accounted for, over the whole database.

The tables are read in batches, each in a short transaction: a large database takes minutes, and no
statement comes near the statement timeout.
"""

from collections import Counter
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any, Final, NamedTuple, TypeVar

from service.database import db
from service.database.replica import from_replica
from service.domain.status import FINAL, Status
from service.event_feed.cursor import oldest_shown
from service.operations import rebuild, rebuild_opt_outs
from service.queries import audit as queries
from service.queries import inbound_audit

# Sweeps find these messages within seconds; later than this, they are a finding.
_GRACE: Final = timedelta(minutes=2)

Progress = Callable[[str, int], None]
_Result = TypeVar("_Result")


class Finding(NamedTuple):
    """The result of one check, with its figures."""

    text: str
    holds: bool


def audit(progress: Progress = lambda _name, _rows: None) -> list[Finding]:
    """Run every check; `progress` is called with the name of the rows and how many were read."""
    now = datetime.now(UTC)
    before = now - _GRACE
    by_status, overdue = Counter[Status](), Counter[str]()
    for batch in _batches(partial(queries.messages, before=before), "messages", progress):
        by_status += batch.by_status
        overdue += batch.overdue
    shared = sum(_batches(queries.shared_sids, "SIDs", progress))
    adoptable = partial(queries.adoptable_orphans, before=before)
    orphans = sum(_batches(adoptable, "orphans", progress))
    missed = sum(_batches(queries.callbacks_missed, "events", progress))
    dead_letters = sum(_batches(queries.dead_letters, "dead letters", progress))
    hidden = sum(_batches(queries.hidden_events, "events of the feed", progress))
    lost = sum(_batches(queries.deliveries_without_event, "deliveries", progress))
    differing = sum(1 for _ in rebuild.rebuild(progress=partial(progress, "ledgers")))
    return [
        _identity(by_status),
        _none("expired claims that were not released", overdue["claims"]),
        _none("due messages that no worker claimed", overdue["pending"]),
        _none("messages in doubt with an overdue look-up", overdue["doubts"]),
        _none("SIDs that belong to two attempts", shared),
        _none("orphans whose message exists", orphans),
        _none("messages that differ from their ledger", differing),
        _none("events that the feed does not show", hidden),
        _none("owed deliveries without an event", lost),
        *_inbound(now, progress),
        Finding(f"missed callbacks, found by polling: {missed}", holds=True),
        Finding(
            f"need a person: {overdue['person']} in doubt, {dead_letters} dead letters", holds=True
        ),
    ]


def _inbound(now: datetime, progress: Progress) -> list[Finding]:
    read = partial(inbound_audit.messages, since=oldest_shown(now))
    counts = sum(_batches(read, "inbound messages", progress), Counter[str]())
    missed = sum(1 for _ in rebuild_opt_outs.rebuild(progress=partial(progress, "words")))
    return [
        _none("inbound messages of which their client was not told", counts["untold"]),
        _none("inbound messages of which another client was told", counts["told_to_other"]),
        _none("inbound messages that answer a message of another client", counts["misled"]),
        _none("opt-outs that differ from what recipients wrote", missed),
        Finding(f"inbound messages: {counts['all']}, without a client: {counts['unowned']}", True),
    ]


def _batches(
    read: Callable[[Any], tuple[_Result, Any]], name: str, progress: Progress
) -> Iterator[_Result]:
    after, rows = None, 0
    while True:
        result, after = _batch(read, after)
        yield result
        if after is None:
            return
        rows += queries.BATCH
        progress(name, rows)


@from_replica()
def _batch(read: Callable[[Any], tuple[_Result, Any]], after: Any) -> tuple[_Result, Any]:
    try:
        return read(after)
    finally:
        db.session.rollback()  # end the transaction: the next batch sees what was committed since


def _none(name: str, count: int) -> Finding:
    return Finding(f"{name}: {count}", count == 0)


def _identity(by_status: Counter[Status]) -> Finding:
    accepted, in_doubt = by_status.total(), by_status[Status.IN_DOUBT]
    final = sum(by_status[status] for status in FINAL)
    in_flight = sum(by_status[status] for status in set(Status) - FINAL - {Status.IN_DOUBT})
    text = f"accepted {accepted} = final {final} + in flight {in_flight} + in doubt {in_doubt}"
    return Finding(text, accepted == final + in_flight + in_doubt)
