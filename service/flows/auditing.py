"""Audit: the accounting identity over the whole database, claim by claim."""

from datetime import UTC, datetime, timedelta
from typing import Final, NamedTuple

from service.domain.status import FINAL, Status
from service.extensions import transaction
from service.flows import rebuilding
from service.store import accounts

# What a sweep is to find within seconds has this long before its absence is a finding.
_GRACE: Final = timedelta(minutes=2)


class Finding(NamedTuple):
    """One claim, with its figures, and whether it holds."""

    claim: str
    holds: bool


def audit() -> list[Finding]:
    """Check every claim about the accounts."""
    overdue = datetime.now(UTC) - _GRACE
    with transaction():
        identity = _identity()
        late = accounts.overdue(overdue)
        shared, orphans = accounts.shared_sids(), accounts.adoptable_orphans(overdue)
        aside, missed = accounts.set_aside(), accounts.callbacks_missed()
    differing = sum(1 for _ in rebuilding.rebuild())
    return [
        identity,
        _none("claims that outlived their lease", late.claims),
        _none("pending messages that nobody claimed", late.pending),
        _none("in doubt beyond their deadline", late.doubts),
        _none("SIDs that two attempts claim", shared),
        _none("orphans whose message is known", orphans),
        _none("messages that show something else than their ledger", differing),
        Finding(f"callbacks missed, their statuses asked for: {missed}", holds=True),
        Finding(f"for a person: {late.people} in doubt, {aside} dead letters", holds=True),
    ]


def _none(what: str, count: int) -> Finding:
    return Finding(f"{what}: {count}", count == 0)


def _identity() -> Finding:
    by_status = accounts.messages_by_status()
    accepted = sum(by_status.values())
    final = sum(count for status, count in by_status.items() if status in FINAL)
    doubt = by_status.get(Status.IN_DOUBT, 0)
    flight = sum(count for s, count in by_status.items() if s not in FINAL and s != Status.IN_DOUBT)
    claim = f"accepted {accepted} = final {final} + in flight {flight} + in doubt {doubt}"
    return Finding(claim, accounts.accepted() == final + flight + doubt)
