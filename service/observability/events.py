"""The journal: the events that matter, a line each. docs/logging.md lists them; a test holds it.

Every line names the message and the attempt it is about, and so does the trace (`tracing`): what
happened in another process is found by them. No line holds a number, a text or a token.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

import structlog

from service.errors import NotAccepted, OutcomeUnknown, Refused
from service.observability import tracing

if TYPE_CHECKING:
    from collections.abc import Mapping

    from service.models import Message
    from service.providers.base import Callback
    from service.recording.statistics import Tally
    from service.sending.answers import Answer

# A batch of callbacks names its messages up to this many; the ledger has them all.
_NAMED: Final = 20

_log: structlog.stdlib.BoundLogger = structlog.get_logger("waybill")


def accepted(rows: "Sequence[Mapping[str, Any]]") -> None:
    """Tell of messages that were stored just now."""
    for row in rows:
        ids = {"message_id": row["id"], "client_id": row["client_id"]}
        _log.info("accepted", **ids, provider=row["provider"])
        tracing.posted(row["id"], row["created_at"])


def answered(answer: "Answer") -> None:
    """Tell how a call to a provider ended."""
    report, error = answer.report, answer.error
    log = _log.bind(
        message_id=answer.message_id,
        attempt_id=answer.attempt_id,
        client_id=answer.client_id,
        provider=answer.provider,
    )
    # Never the provider's words: they may hold a phone number.
    code = error.code if error else None
    if isinstance(error, Refused):
        log.warning("refused", code=code)
    elif isinstance(error, NotAccepted):
        log.warning("not taken", code=code)
    elif isinstance(error, OutcomeUnknown):
        log.warning("in doubt", code=code)
    else:
        log.info("sent", provider_sid=report.provider_sid if report else None)


def expired(messages: "Sequence[UUID]") -> None:
    """Tell of messages whose worker died, and which are in doubt now."""
    for message_id in messages:
        _log.warning("in doubt", message_id=message_id, code="claim_expired")


def message_expired(message: "Message") -> None:
    """Tell of a message that was not sent because its deadline had passed."""
    ids = {"message_id": message.id, "client_id": message.client_id}
    _log.warning("expired", **ids, provider=message.provider)


def recorded(callbacks: "Sequence[Callback]", tally: "Tally") -> None:
    """Tell of a batch of callbacks that was committed just now."""
    messages = dict.fromkeys(owner.message_id for owner in tally.owners if owner)
    _log.info(
        "recorded",
        heard=tally.heard,
        repeats=tally.repeats,
        orphans=tally.orphans,
        conflicts=tally.conflicts,
        message_ids=list(messages)[:_NAMED],
    )
    if tracing.is_on():
        for callback, owner in zip(callbacks, tally.owners, strict=True):
            if owner:
                tracing.recorded(owner.message_id, owner.id, callback.received_at)


def forged(provider: str, attempt: str, reason: str) -> None:
    """Tell of a callback that the provider did not sign."""
    _log.warning("forged", provider=provider, attempt_id=_as_id(attempt), reason=reason)


def set_aside(callback: "Callback", error: str) -> None:
    """Tell of a callback that could not be recorded; `error` is a type or a reason of ours."""
    attempt_id = _as_id(callback.attempt)
    _log.error("set aside", provider=callback.provider, attempt_id=attempt_id, reason=error)


def reconciled(message: "Message", attempt_id: UUID, result: str) -> None:
    """Tell what came of asking about a message."""
    ids = {"message_id": message.id, "attempt_id": attempt_id}
    _log.info("reconciled", **ids, provider=message.provider, result=result)


def operated(operator: str, deed: str, **about: UUID | int) -> None:
    """Tell what a person did."""
    _log.warning("operated", operator=operator, deed=deed, **about)


def _as_id(attempt: str) -> UUID | None:
    """Return an id that came over the wire; None for whatever else a stranger wrote there."""
    try:
        return UUID(attempt)
    except ValueError:
        return None
