"""The journal: the events that matter, a line each. docs/logging.md lists them; a test holds it.

Every line names the message and the attempt it is about, and so does the trace (`tracing`): what
happened in another process is found by them. No line holds a number, a text or a token.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final, Protocol
from uuid import UUID

import structlog

from service.errors import NotAccepted, OutcomeUnknown, ProviderError, Refused
from service.observability import tracing

# A batch of callbacks names its messages up to this many; the ledger has them all.
_NAMED: Final = 20


class _Owner(Protocol):
    """The attempt that a report is about."""

    @property
    def id(self) -> UUID | None: ...
    @property
    def message_id(self) -> UUID: ...


class _Batch(Protocol):
    """What became of a batch of reports."""

    @property
    def heard(self) -> int: ...
    @property
    def repeats(self) -> int: ...
    @property
    def orphans(self) -> int: ...
    @property
    def conflicts(self) -> int: ...
    @property
    def owners(self) -> Sequence[_Owner | None]: ...


_log: structlog.stdlib.BoundLogger = structlog.get_logger("waybill")


def accepted(rows: Sequence[Mapping[str, Any]]) -> None:
    """Tell of messages that were stored just now."""
    for row in rows:
        ids = {"message_id": row["id"], "client_id": row["client_id"]}
        _log.info("accepted", **ids, provider=row["provider"])
        tracing.posted(row["id"], row["created_at"])


def answered(
    error: ProviderError | None, provider_sid: str | None, **ids: UUID | int | str
) -> None:
    """Log how a call to a provider ended."""
    log = _log.bind(**ids)
    # Never the provider's words: they may hold a phone number.
    code = error.code if error else None
    if isinstance(error, Refused):
        log.warning("refused", code=code)
    elif isinstance(error, NotAccepted):
        log.warning("not taken", code=code)
    elif isinstance(error, OutcomeUnknown):
        log.warning("in doubt", code=code)
    else:
        log.info("sent", provider_sid=provider_sid)


def expired(messages: Sequence[UUID]) -> None:
    """Tell of messages whose worker died, and which are in doubt now."""
    for message_id in messages:
        _log.warning("in doubt", message_id=message_id, code="claim_expired")


def message_expired(message_id: UUID, client_id: int, provider: str) -> None:
    """Log a message that was not sent because its deadline had passed."""
    _log.warning("expired", message_id=message_id, client_id=client_id, provider=provider)


def recorded(batch: _Batch, arrivals: Sequence[datetime]) -> None:
    """Log a batch of callbacks that was committed just now; `arrivals` says when each came."""
    messages = dict.fromkeys(owner.message_id for owner in batch.owners if owner)
    _log.info(
        "recorded",
        heard=batch.heard,
        repeats=batch.repeats,
        orphans=batch.orphans,
        conflicts=batch.conflicts,
        message_ids=list(messages)[:_NAMED],
    )
    if tracing.is_on():
        for arrived_at, owner in zip(arrivals, batch.owners, strict=True):
            if owner:
                tracing.recorded(owner.message_id, owner.id, arrived_at)


def forged(provider: str, attempt: str, reason: str) -> None:
    """Tell of a callback that the provider did not sign."""
    _log.warning("forged", provider=provider, attempt_id=_as_id(attempt), reason=reason)


def set_aside(provider: str, attempt: str, error: str) -> None:
    """Log a callback that could not be recorded; `error` is a type or a reason of ours."""
    _log.error("set aside", provider=provider, attempt_id=_as_id(attempt), reason=error)


def reconciled(message_id: UUID, attempt_id: UUID, provider: str, result: str) -> None:
    """Log the result of asking the provider about a message."""
    ids = {"message_id": message_id, "attempt_id": attempt_id}
    _log.info("reconciled", **ids, provider=provider, result=result)


def operated(operator: str, deed: str, **about: UUID | int) -> None:
    """Tell what a person did."""
    _log.warning("operated", operator=operator, deed=deed, **about)


def _as_id(attempt: str) -> UUID | None:
    """Return an id that came over the wire; None for whatever else a stranger wrote there."""
    try:
        return UUID(attempt)
    except ValueError:
        return None
