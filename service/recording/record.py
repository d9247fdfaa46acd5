"""Record: the one place that writes a status. Callbacks, answers and look-ups all end here."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple
from uuid import UUID

from service.database import transaction
from service.domain.outcome import Outcome, merge_all, outcome_of
from service.domain.report import StatusReport
from service.opt_outs import learn
from service.queries import attempts, ledger
from service.queries.attempts import AttemptRef
from service.recording import redaction
from service.recording.rows import columns_of, event_of, outcome_in, report_of
from service.recording.statistics import Tally, kinds_of

# Where the next search for adoptable orphans begins: each process goes round them by itself.
_last_orphan = 0


class _Said(NamedTuple):
    report: StatusReport
    owner: AttemptRef


def record(reports: Sequence[StatusReport]) -> Tally:
    """Write reports into the ledger and their join onto the messages, in one transaction."""
    with transaction():
        return apply(reports)


def apply(reports: Sequence[StatusReport], locked: Mapping[UUID, Any] | None = None) -> Tally:
    """Do the work of `record` inside the caller's transaction.

    `locked` are the outcomes of all their messages, where the caller has locked them already.
    """
    owners = _owners(reports)
    rows = locked or ledger.lock_outcomes(owner.message_id for owner in owners if owner)
    reports = [
        redaction.unquoted(report, rows.get(owner.message_id) if owner else None)
        for report, owner in zip(reports, owners, strict=True)
    ]
    said = [_Said(report, owner) for report, owner in zip(reports, owners, strict=True) if owner]
    events = _events(reports, owners)
    redaction.hide(events, rows)
    fresh = ledger.write_events(events)
    contradicted = _fold(rows, said + _bind(said, rows))
    learn.learn((report, owner.id) for report, owner in said)
    kinds = kinds_of(events, owners, rows, fresh, contradicted)
    orphans = len(reports) - len(said)
    return Tally(len(reports), len(fresh), orphans, len(contradicted), kinds, tuple(owners))


def adopt_orphans(limit: int = 2_000) -> int:
    """Give orphans to the messages whose SID has become known since; return how many.

    Looks at `limit` orphans, and at the next of them when it is called again.
    """
    global _last_orphan
    with transaction():
        owners, _last_orphan = attempts.with_orphans(_last_orphan, limit)
        rows = ledger.lock_outcomes(owner.message_id for owner in owners.values())
        adopted = _adopt(owners, rows)
        _fold(rows, adopted)
    return len(adopted)


def _owners(reports: Sequence[StatusReport]) -> list[AttemptRef | None]:
    """Find whose each report is: by our id in the callback URL, else by the provider's SID."""
    by_id = attempts.by_id({r.attempt_id for r in reports if r.attempt_id})
    found = [by_id.get(r.attempt_id) if r.attempt_id else None for r in reports]
    by_sid = attempts.by_sid(
        {
            (report.provider, report.provider_sid)
            for report, owner in zip(reports, found, strict=True)
            if report.provider_sid and owner is None
        }
    )

    def owner(report: StatusReport) -> AttemptRef | None:
        if report.message_id:
            return AttemptRef(None, report.message_id, number=0)
        return by_sid.get((report.provider, report.provider_sid or ""))

    return [known or owner(report) for report, known in zip(reports, found, strict=True)]


def _events(
    reports: Sequence[StatusReport], owners: Sequence[AttemptRef | None]
) -> list[dict[str, Any]]:
    """Return the ledger's rows, with repeats inside the batch already counted together."""
    events: dict[bytes, dict[str, Any]] = {}
    for report, owner in zip(reports, owners, strict=True):
        event = event_of(report, owner)
        known = events.get(event["identity"])
        if known is not None:
            first = min(known, event, key=lambda one: one["received_at"])
            event = {**first, "repeats": known["repeats"] + 1}
        events[event["identity"]] = event
    return list(events.values())


def _bind(said: Iterable[_Said], rows: Mapping[UUID, Any]) -> list[_Said]:
    """Bind SIDs that are new to us, and return what was said about them before they were."""
    fresh: dict[UUID, str] = {}
    owners: dict[tuple[str, str], AttemptRef] = {}
    for report, owner in said:
        sid = report.provider_sid
        if owner.id is None or sid is None or sid == owner.provider_sid:
            continue
        fresh[owner.id] = min(sid, fresh.get(owner.id, sid))
        owners[report.provider, sid] = owner
    attempts.bind_sids(fresh)
    return _adopt(owners, rows)


def _adopt(owners: Mapping[tuple[str, str], AttemptRef], rows: Mapping[UUID, Any]) -> list[_Said]:
    adopted = ledger.take_orphans(owners)
    redaction.hide_adopted(adopted, rows)
    return [_Said(report_of(event), owner) for event, owner in adopted]


def _fold(rows: Mapping[UUID, Any], said: Iterable[_Said]) -> set[UUID]:
    """Join what was said onto the locked rows; return those that became contradictory."""
    by_message: dict[UUID, list[_Said]] = defaultdict(list)
    for one in said:
        by_message[one.owner.message_id].append(one)
    changed, contradicted = [], set()
    for message_id, row in rows.items():
        before = outcome_in(row)
        news = [outcome_of(report, owner.number) for report, owner in by_message[message_id]]
        after = merge_all([before, *news])
        if after is None:
            continue
        sid = _shown_sid(row, after, by_message[message_id])
        if after == before and sid == row.provider_sid:
            continue
        changed.append(columns_of(row, after, sid))
        if after.conflict and not (before and before.conflict):
            contradicted.add(message_id)
    ledger.write_outcomes(changed)
    return contradicted


def _shown_sid(row: Any, outcome: Outcome, said: Iterable[_Said]) -> str | None:
    """Return the SID of the attempt that is shown; the least, should the provider give two."""
    sids = {row.provider_sid} if row.outcome_attempt == outcome.attempt else set()
    for report, owner in said:
        if owner.number == outcome.attempt:
            sids |= {report.provider_sid, owner.provider_sid}
    return min(filter(None, sids), default=None)
