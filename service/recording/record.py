"""Records status reports: the only place that changes the status of a message.

Callbacks, answers to sends, look-ups, polls and our own verdicts all pass through `apply`.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from operator import itemgetter
from typing import Any
from uuid import UUID

from service.database import transaction
from service.domain.report import StatusReport
from service.opt_outs.learn import learn_opt_outs
from service.queries import attempts, ledger
from service.queries.attempts import AttemptRef
from service.recording.effects import Effect, LedgerEntry, RecordedBatch
from service.recording.fold import fold, report_of
from service.recording.redaction import redact_adopted, redacted

# Where the next search for orphans begins; each process has its own.
_last_orphan = 0


def record(reports: Sequence[StatusReport]) -> RecordedBatch:
    """Write reports into the ledger and their join onto the messages, in one transaction."""
    with transaction():
        return apply(reports)


def apply(
    reports: Sequence[StatusReport], locked: Mapping[UUID, Any] | None = None
) -> RecordedBatch:
    """Do the work of `record` inside the caller's transaction.

    `locked` are the rows of all their messages, where the caller has locked them already.
    """
    if not reports:
        return RecordedBatch()
    owners = ledger.owners_of(reports)
    rows = locked or ledger.lock_outcomes(owner.message_id for owner in owners if owner)
    entries = [_entry(*pair, rows) for pair in zip(reports, owners, strict=True)]
    new = ledger.write_events(event_rows(entries))
    adopted = _bind_sids(entries, rows)
    columns, effects, conflicts = fold(rows, entries, new, adopted)
    ledger.write_outcomes(columns)
    pairs = list(zip(entries, effects, strict=True))
    learn_opt_outs([entry for entry, effect in pairs if effect is not Effect.REPEAT] + adopted)
    counts = Counter[tuple[str, str, str]](
        (report.provider, str(report.status or "other"), effect) for (_, report, _), effect in pairs
    )
    return RecordedBatch(entries, effects, counts, conflicts)


def adopt_orphans(limit: int = 2_000) -> int:
    """Add orphans to the messages whose SID has become known since; return how many.

    Reads `limit` orphans, and the next of them when it is called again.
    """
    global _last_orphan
    with transaction():
        owners, _last_orphan = attempts.with_orphans(_last_orphan, limit)
        rows = ledger.lock_outcomes(owner.message_id for owner in owners.values())
        adopted = _adopt(owners, rows)
        ledger.write_outcomes(fold(rows, (), (), adopted).columns)
        learn_opt_outs(adopted)
    return len(adopted)


def _entry(report: StatusReport, owner: AttemptRef | None, rows: Mapping[UUID, Any]) -> LedgerEntry:
    """Return the ledger entry of a report, redacted where its message is."""
    row = rows.get(owner.message_id) if owner else None
    if row is not None and row.redacted_at is not None:
        report = redacted(report)
    return LedgerEntry(report.identity, report, owner)


def event_rows(entries: Iterable[LedgerEntry]) -> Collection[dict[str, Any]]:
    """Return the ledger rows of a batch: one for each identity, with its repeats counted."""
    rows: dict[bytes, dict[str, Any]] = {}
    for identity, report, owner in entries:
        row = {
            **report._asdict(),
            "identity": identity,
            "message_id": owner.message_id if owner else None,
            "attempt_id": owner.id if owner else None,
            "price": report.price.amount if report.price else None,
            "price_currency": report.price.currency if report.price else None,
            "repeats": 0,
        }
        earlier = rows.get(identity)
        if earlier is not None:
            first = min(earlier, row, key=itemgetter("received_at"))
            row = {**first, "repeats": earlier["repeats"] + 1}
        rows[identity] = row
    return rows.values()


def _bind_sids(entries: Iterable[LedgerEntry], rows: Mapping[UUID, Any]) -> list[LedgerEntry]:
    """Bind new SIDs to their attempts; return the reports about them that came earlier."""
    least: dict[UUID, str] = {}
    owners: dict[tuple[str, str], AttemptRef] = {}
    for _, report, owner in entries:
        sid = report.provider_sid
        if owner is None or owner.id is None or sid is None or sid == owner.provider_sid:
            continue
        least[owner.id] = min(sid, least.get(owner.id, sid))
        owners[report.provider, sid] = owner
    if not owners:
        return []
    attempts.bind_sids(least)
    return _adopt(owners, rows)


def _adopt(
    owners: Mapping[tuple[str, str], AttemptRef], rows: Mapping[UUID, Any]
) -> list[LedgerEntry]:
    adopted = ledger.take_orphans(owners)
    redact_adopted(adopted, rows)
    return [LedgerEntry(event.identity, report_of(event), owner) for event, owner in adopted]
