"""Records status reports: the only place that changes the status of a message.

Callbacks, answers to sends, look-ups, polls and our own verdicts all pass through `apply`.
"""

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any
from uuid import UUID

from service.database import transaction
from service.domain.outcome import Outcome, merge_all, outcome_of, rank
from service.domain.report import StatusReport
from service.domain.status import FINAL, UNREPORTED, Status
from service.holds.learn import learn_blocks
from service.opt_outs.learn import learn_opt_outs
from service.queries import attempts, ledger
from service.queries.attempts import AttemptRef
from service.recording.effects import Effect, LedgerEntry, RecordedBatch
from service.recording.redaction import redact_adopted, redacted
from service.recording.rows import event_rows, message_columns, outcome_in, report_of
from service.recording.unknown_codes import note_unknown_codes
from service.webhooks.owe import owe_changes

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
    contradicted = _fold(rows, entries + adopted)
    effects = _effects(entries, rows, new, contradicted)
    pairs = list(zip(entries, effects, strict=True))
    fresh = [entry for entry, effect in pairs if effect is not Effect.REPEAT]
    learn_opt_outs(fresh + adopted)
    learn_blocks(fresh + adopted)
    note_unknown_codes(entry.report for entry in fresh)
    counts = Counter[tuple[str, str, str]](
        (report.provider, str(report.status or "other"), effect) for (_, report, _), effect in pairs
    )
    return RecordedBatch(entries, effects, counts, len(contradicted))


def adopt_orphans(limit: int = 2_000) -> int:
    """Add orphans to the messages whose SID has become known since; return how many.

    Reads `limit` orphans, and the next of them when it is called again.
    """
    global _last_orphan
    with transaction():
        owners, _last_orphan = attempts.with_orphans(_last_orphan, limit)
        rows = ledger.lock_outcomes(owner.message_id for owner in owners.values())
        owners = {key: owner for key, owner in owners.items() if owner.message_id in rows}
        adopted = _adopt(owners, rows)
        _fold(rows, adopted)
        learn_opt_outs(adopted)
        learn_blocks(adopted)
    return len(adopted)


def _entry(report: StatusReport, owner: AttemptRef | None, rows: Mapping[UUID, Any]) -> LedgerEntry:
    """Return the ledger entry of a report, redacted where its message is.

    A message that was deleted since the attempt was read has no row: the report is an orphan.
    """
    row = rows.get(owner.message_id) if owner else None
    if row is None:
        owner = None
    elif row.redacted_at is not None:
        report = redacted(report)
    return LedgerEntry(report.identity, report, owner)


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


def _fold(rows: Mapping[UUID, Any], entries: Iterable[LedgerEntry]) -> set[UUID]:
    """Join reports onto the locked rows; return the messages that became contradictory."""
    by_message: dict[UUID, list[tuple[StatusReport, AttemptRef]]] = defaultdict(list)
    for _, report, owner in entries:
        if owner is not None:
            by_message[owner.message_id].append((report, owner))
    columns, contradicted = [], set()
    for message_id, row in rows.items():
        owned, before = by_message[message_id], outcome_in(row)
        after = merge_all([before, *(outcome_of(report, owner.number) for report, owner in owned)])
        if after is None:
            continue
        sid = _shown_sid(row, after, owned)
        if after == before and sid == row.provider_sid:
            continue
        columns.append(message_columns(row, after, sid))
        if after.conflict and not (before and before.conflict):
            contradicted.add(message_id)
    ledger.write_outcomes(columns)
    owe_changes({column["key"]: rows[column["key"]].client_id for column in columns})
    return contradicted


def _shown_sid(
    row: Any, outcome: Outcome, owned: Iterable[tuple[StatusReport, AttemptRef]]
) -> str | None:
    """Return the SID of the attempt that is shown; the least, if the provider gave two."""
    sids = {row.provider_sid} if row.outcome_attempt == outcome.attempt else set()
    for report, owner in owned:
        if owner.number == outcome.attempt:
            sids |= {report.provider_sid, owner.provider_sid}
    return min(filter(None, sids), default=None)


def _effects(
    entries: Iterable[LedgerEntry],
    rows: Mapping[UUID, Any],
    new: Collection[bytes],
    contradicted: Collection[UUID],
) -> list[Effect]:
    """Return the effect of each entry; `rows` are the messages as they were before."""
    effects, unseen = [], set(new)
    for identity, report, owner in entries:
        if identity in unseen:
            unseen.remove(identity)
            effects.append(_effect(report, owner, rows, contradicted))
        else:
            effects.append(Effect.REPEAT)
    return effects


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
