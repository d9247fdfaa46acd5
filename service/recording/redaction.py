"""Redacts reports about redacted messages, and rows that are in the ledger already."""

from collections.abc import Iterable, Mapping
from typing import Any, Final
from uuid import UUID

from service.components import components
from service.domain.report import StatusReport
from service.models import StatusEvent
from service.recording.rows import random_identity

# Prefix of ledger entries about decisions of operators (service/operations/operator_actions.py).
DECISION: Final = "operator_"


def redacted(report: StatusReport) -> StatusReport:
    """Return a report without the provider's text, numbers and error message."""
    raw = impersonal(report.provider, report.word, report.raw)
    return report._replace(error_message=None, raw=raw)


def redact_adopted(adopted: Iterable[tuple[StatusEvent, Any]], rows: Mapping[UUID, Any]) -> None:
    """Redact the orphans that were added to redacted messages."""
    for event, owner in adopted:
        row = rows.get(owner.message_id)
        if row is not None and row.redacted_at is not None:
            redact_orphan(event)


def redact_orphan(event: StatusEvent) -> None:
    """Redact one event without a message, or that had none."""
    event.raw = impersonal(event.provider, event.word, event.raw)
    if event.error_message is not None:
        # Random: without their messages two orphans may be equal, and identities are unique.
        event.error_message, event.identity = None, random_identity(event.identity)


def impersonal(provider: str, word: str, raw: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields of a payload that redaction leaves; of a decision, its operator."""
    configured = components().providers.get(provider)
    fields = configured.non_personal_fields() if configured else ()
    if word.startswith(DECISION):
        fields = ("operator",)
    return {name: value for name, value in raw.items() if name in fields}
