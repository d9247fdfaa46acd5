"""Tally: what a batch of reports brought, statement by statement, for whoever keeps count."""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from enum import StrEnum
from types import MappingProxyType
from typing import Any, NamedTuple
from uuid import UUID

from service.domain.outcome import rank
from service.domain.status import FINAL, UNREPORTED
from service.queries.attempts import AttemptRef


class Brought(StrEnum):
    """What one statement brought. Each has exactly one of these, the first that fits."""

    REPEAT = "repeat"  # it was written down before
    ORPHAN = "orphan"  # no message of ours is known by what it names
    CONFLICT = "conflict"  # its message became both delivered and not delivered
    LATE = "late"  # its message was final already, or shows as much, or more
    RECORDED = "recorded"


# (provider, our word for the status or "other", what it brought): how many.
Kinds = Mapping[tuple[str, str, str], int]


class Tally(NamedTuple):
    """What became of a batch: statements heard, new ones among them, and what they brought."""

    heard: int = 0
    recorded: int = 0
    orphans: int = 0
    conflicts: int = 0
    kinds: Kinds = MappingProxyType({})
    owners: Sequence[AttemptRef | None] = ()  # whose each statement is, in their order

    @property
    def repeats(self) -> int:
        """Return how many statements had been heard before."""
        return self.heard - self.recorded


def kinds_of(
    events: Sequence[Mapping[str, Any]],
    owners: Sequence[AttemptRef | None],
    rows: Mapping[UUID, Any],
    fresh: Collection[bytes],
    contradicted: Collection[UUID],
) -> Kinds:
    """Sort ledger rows by what they brought to messages that looked like `rows` before."""
    numbers = {owner.id: owner.number for owner in owners if owner}
    found: Counter[tuple[str, str, str]] = Counter()
    for event in events:
        status, again = str(event["status"] or "other"), event["repeats"]
        if event["identity"] in fresh:
            brought = _brought(event, numbers, rows, contradicted)
            found[event["provider"], status, brought] += 1
        else:
            again += 1
        if again:
            found[event["provider"], status, Brought.REPEAT] += again
    return found


def _brought(
    event: Mapping[str, Any],
    numbers: Mapping[UUID | None, int],
    rows: Mapping[UUID, Any],
    contradicted: Collection[UUID],
) -> Brought:
    status, row = event["status"], rows.get(event["message_id"])
    if row is None:
        return Brought.ORPHAN
    if status is None:
        return Brought.RECORDED
    if row.id in contradicted and status in FINAL:
        return Brought.CONFLICT
    if row.status in UNREPORTED:
        return Brought.RECORDED
    said = rank(status, numbers.get(event["attempt_id"], 0))
    if row.status in FINAL or said <= rank(row.status, row.outcome_attempt):
        return Brought.LATE
    return Brought.RECORDED
