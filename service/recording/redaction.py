"""Redacts ledger rows: those of redacted messages when written, the others when redacted."""

from collections.abc import Iterable, Mapping
from typing import Any, Final
from uuid import UUID

from service.components import components
from service.domain.report import StatusReport
from service.models import StatusEvent
from service.recording.rows import random_identity

# Prefix of ledger entries about decisions of operators (service/operations/operator_actions.py).
DECISION: Final = "operator_"


def hide(events: Iterable[dict[str, Any]], rows: Mapping[UUID, Any]) -> None:
    """Take out of ledger rows to be written what their messages no longer hold.

    The provider's words are out already: `unquoted`.
    """
    for event in events:
        if _is_redacted(rows.get(event["message_id"])):
            event["raw"] = impersonal(event["provider"], event["word"], event["raw"])


def hide_adopted(adopted: Iterable[tuple[StatusEvent, Any]], rows: Mapping[UUID, Any]) -> None:
    """Do the same to orphans that were given to redacted messages."""
    for event, owner in adopted:
        if _is_redacted(rows.get(owner.message_id)):
            hide_orphan(event)


def hide_orphan(event: StatusEvent) -> None:
    """Take text, numbers and the provider's own words out of one event."""
    event.raw = impersonal(event.provider, event.word, event.raw)
    if event.error_message is not None:
        # No look whether another orphan says the same without the words: it would be unique.
        event.error_message, event.identity = None, random_identity(event.identity)


def unquoted(report: StatusReport, row: Any) -> StatusReport:
    """Return a report without the provider's own words, where its message is redacted."""
    return report._replace(error_message=None) if _is_redacted(row) else report


def _is_redacted(row: Any) -> bool:
    return row is not None and row.redacted_at is not None


def impersonal(provider: str, word: str, raw: Mapping[str, Any]) -> dict[str, Any]:
    """Return what redaction leaves of a payload: of a decision, who made it."""
    known = components().providers.get(provider)
    kept = known.non_personal_fields() if known else ()
    if word.startswith(DECISION):
        kept = ("operator",)
    return {name: value for name, value in raw.items() if name in kept}
