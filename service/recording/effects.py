"""What each report of a batch changed. Metrics, logs and opt-outs read this, and derive nothing."""

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from enum import StrEnum
from typing import Any, NamedTuple
from uuid import UUID

from service.domain.outcome import rank
from service.domain.report import StatusReport
from service.domain.status import FINAL, UNREPORTED, Status
from service.queries.attempts import AttemptRef


class Effect(StrEnum):
    """What a report changed. Each report has exactly one of these, the first that applies."""

    REPEAT = "repeat"  # it was in the ledger already
    ORPHAN = "orphan"  # it belongs to no message that we know
    CONFLICT = "conflict"  # its message became both delivered and not delivered
    LATE = "late"  # its message was final already, or shows an equal or higher status
    RECORDED = "recorded"


class LedgerEntry(NamedTuple):
    """A report, the key of its ledger row, and the attempt that it is about."""

    identity: bytes
    report: StatusReport
    owner: AttemptRef | None


# How many reports, by provider, by our status or "other", and by effect.
Counts = Mapping[tuple[str, str, str], int]


class RecordedBatch(NamedTuple):
    """What became of the reports of one transaction: their entries, and the effect of each."""

    entries: Sequence[LedgerEntry] = ()
    effects: Sequence[Effect] = ()
    conflicts: int = 0  # messages that became contradictory

    @property
    def orphans(self) -> int:
        """Return how many reports belong to no message that we know."""
        return sum(entry.owner is None for entry in self.entries)

    @property
    def repeats(self) -> int:
        """Return how many reports were in the ledger already."""
        return self.effects.count(Effect.REPEAT)

    @property
    def counts(self) -> Counts:
        """Return how many reports had each effect."""
        return Counter(
            (report.provider, str(report.status or "other"), effect)
            for (_, report, _), effect in zip(self.entries, self.effects, strict=True)
        )


def effects_of(
    entries: Sequence[LedgerEntry],
    rows: Mapping[UUID, Any],
    new: Collection[bytes],
    contradicted: Collection[UUID],
) -> Iterator[Effect]:
    """Yield the effect of each entry; `rows` are the messages as they were before."""
    unseen = set(new)
    for identity, report, owner in entries:
        if identity in unseen:
            unseen.remove(identity)
            yield _effect(report, owner, rows, contradicted)
        else:
            yield Effect.REPEAT


def _effect(
    report: StatusReport,
    owner: AttemptRef | None,
    rows: Mapping[UUID, Any],
    contradicted: Collection[UUID],
) -> Effect:
    row = rows.get(owner.message_id) if owner else None
    if owner is None or row is None:
        return Effect.ORPHAN
    if report.status is None:
        return Effect.RECORDED
    if row.id in contradicted and report.status in FINAL:
        return Effect.CONFLICT
    if row.outcome_attempt is None:
        return Effect.RECORDED
    # Until the next attempt is reported, a message that is sent again shows the resend.
    status = Status.PENDING if row.status in UNREPORTED else row.status
    shown = rank(status, row.outcome_attempt)
    if row.status in FINAL or rank(report.status, owner.number) <= shown:
        return Effect.LATE
    return Effect.RECORDED
