"""What each report of a batch changed. Metrics, logs and opt-outs read this, and derive nothing."""

from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import NamedTuple

from service.domain.report import StatusReport
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


class RecordedBatch(NamedTuple):
    """What became of the reports of one transaction: their entries, and the effect of each."""

    entries: Sequence[LedgerEntry] = ()
    effects: Sequence[Effect] = ()
    # How many reports, by provider, by our status or "other", and by effect.
    counts: Mapping[tuple[str, str, str], int] = {}
    conflicts: int = 0  # messages that became contradictory
