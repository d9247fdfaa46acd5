"""Fold the ledger again, and compare each message with the result."""

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple
from uuid import UUID

from service.database import transaction
from service.domain.outcome import Outcome, merge_all, outcome_of
from service.queries import ledger
from service.recording.rows import message_columns, outcome_in, report_of
from service.webhooks.owe import owe

_BATCH = 500


class Difference(NamedTuple):
    """A message that differs from its ledger."""

    message_id: UUID
    shown: str
    folded: str


def rebuild(
    *, write: bool = False, progress: Callable[[int], None] = lambda _rows: None
) -> Iterator[Difference]:
    """Yield every difference; with `write` also correct the message.

    `progress` is called with the number of messages compared.
    """
    after, compared = None, 0
    while ids := _page(after):
        with transaction():
            rows = ledger.lock_outcomes(ids)
            differences = list(_differences(rows))
            if write:
                _correct([columns for _, columns in differences if columns])
        yield from (difference for difference, _ in differences)
        after, compared = ids[-1], compared + len(ids)
        progress(compared)


def _correct(corrections: list[dict[str, Any]]) -> None:
    ledger.write_outcomes(corrections)
    owe([columns["key"] for columns in corrections])


def _page(after: UUID | None) -> Sequence[UUID]:
    with transaction():
        return ledger.message_ids(after, _BATCH)


def _differences(rows: dict[UUID, Any]) -> Iterator[tuple[Difference, dict[str, Any] | None]]:
    outcomes: dict[UUID, list[Outcome | None]] = defaultdict(list)
    sids: dict[tuple[UUID, int], set[str]] = defaultdict(set)
    for event, number in ledger.numbered_events(list(rows)):
        assert event.message_id is not None
        outcomes[event.message_id].append(outcome_of(report_of(event), number))
        if event.provider_sid:
            sids[event.message_id, number].add(event.provider_sid)
    for message_id, row in rows.items():
        folded, shown = merge_all(outcomes[message_id]), outcome_in(row)
        sid = min(sids[message_id, folded.attempt], default=None) if folded else None
        if folded == shown and sid == row.provider_sid:
            continue
        columns = message_columns(row, folded, sid) if folded else None
        yield Difference(message_id, _describe(shown), _describe(folded)), columns


def _describe(outcome: Outcome | None) -> str:
    if outcome is None:
        return "nothing"
    code = f" {outcome.error_code}" if outcome.error_code else ""
    return f"{outcome.status}{code} of attempt {outcome.attempt}"
