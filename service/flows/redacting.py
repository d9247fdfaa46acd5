"""Redact: take out of ended messages what was written, and leave what became of it.

A message has ended when it is final, or when we stopped asking about it. What is said of it after
its redaction is written down without what the redaction took out.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from service.domain.report import StatusReport
from service.extensions import parts, transaction
from service.flows.sweeping import BATCH, sweep
from service.models import StatusEvent
from service.store import redaction


def redact() -> int:
    """Redact the messages whose time has come, as many as fit into one sweep; return how many."""
    done = sweep(_forget_some)
    return done if parts().settings.redact_after is None else done + sweep(_redact_some)


def strip(ids: Sequence[UUID], now: datetime) -> None:
    """Redact messages that this transaction has locked, with their attempts and ledgers."""
    redaction.redact(ids, now)
    redaction.write_raw(
        {"key": number, "raw": _impersonal(provider, raw), "error_message": None}
        for number, provider, raw in redaction.raw_of(ids)
    )


def hide(events: Iterable[dict[str, Any]], rows: Mapping[UUID, Any]) -> None:
    """Take out of ledger rows to be written what their messages no longer hold."""
    for event in events:
        if _is_redacted(rows.get(event["message_id"])):
            event["raw"] = _impersonal(event["provider"], event["raw"])
            event["error_message"] = None


def hide_adopted(adopted: Iterable[tuple[StatusEvent, Any]], rows: Mapping[UUID, Any]) -> None:
    """Do the same to orphans that were given to redacted messages."""
    for event, owner in adopted:
        if _is_redacted(rows.get(owner.message_id)):
            hide_orphan(event)


def hide_orphan(event: StatusEvent) -> None:
    """Take text, numbers and the provider's own words out of one event."""
    event.raw = _impersonal(event.provider, event.raw)
    event.error_message = None


def unquoted(report: StatusReport, row: Any) -> StatusReport:
    """Return a report without the provider's own words, where its message is redacted."""
    return report._replace(error_message=None) if _is_redacted(row) else report


def _is_redacted(row: Any) -> bool:
    return row is not None and row.redacted_at is not None


def _impersonal(provider: str, raw: Mapping[str, Any]) -> dict[str, Any]:
    known = parts().providers.get(provider)
    kept = known.impersonal() if known else ()
    return {name: value for name, value in raw.items() if name in kept}


def _redact_some() -> int:
    now = datetime.now(UTC)
    age = timedelta(days=parts().settings.redact_after or 0)
    with transaction():
        ids = redaction.ended(now - age, BATCH)
        strip(ids, now)
    return len(ids)


def _forget_some() -> int:
    with transaction():
        ids = redaction.to_forget(BATCH)
        strip(ids, datetime.now(UTC))
        redaction.forget(ids)
    return len(ids)
