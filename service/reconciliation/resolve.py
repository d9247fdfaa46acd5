"""Resolve a message in doubt: a person names its SID, or states that it was never sent."""

import re
from datetime import UTC, datetime
from typing import Final
from uuid import UUID

from service.components import components
from service.database import transaction
from service.domain.report import StatusReport
from service.domain.status import Status
from service.errors import Conflict, NotFound
from service.models import Attempt, Message
from service.queries import attempts, ledger, reconciliation
from service.queries.dialect import advisory_lock
from service.reconciliation import look_up
from service.recording import record

_SID: Final = re.compile(r"[A-Za-z0-9_-]{1,64}")


def resolve(
    message_id: UUID, provider_sid: str | None, decision: StatusReport | None = None
) -> Status:
    """Resolve a message in doubt by its SID, or None for never sent; return the new status.

    Records `decision` in the same transaction. Raises NotFound, Conflict, and ProviderError if the
    provider does not confirm the SID.
    """
    message, attempt = in_doubt(message_id)
    if provider_sid is None:
        return _record(message, [decision, look_up.verdict(message)])
    sid = provider_sid.strip()
    if not _SID.fullmatch(sid):
        raise Conflict("invalid SID: use 1 to 64 letters, digits, - and _")
    with transaction():
        _raise_if_confusable(message)
        _raise_if_bound(message, sid)
    # Any time since the message was accepted: the text does not tell which attempt it was.
    since, until = message.created_at - look_up.SKEW, datetime.now(UTC) + look_up.SKEW
    query = look_up.description(message, attempt, since, until)
    report = components().account(attempt.provider, attempt.account).confirm(query, sid)
    return _record(message, [decision, report], sid)


def in_doubt(message_id: UUID) -> tuple[Message, Attempt]:
    """Return a message that a person can resolve. Raises NotFound or Conflict."""
    with transaction():
        message, attempt = reconciliation.with_attempt(message_id)
    if message is None or attempt is None:
        raise NotFound("no such message, or no attempt to send it was made")
    if message.status is not Status.IN_DOUBT:
        raise Conflict(f"the message is no longer in doubt; its status is {message.status}")
    if attempt.provider_sid is not None:
        raise Conflict(f"the message has the SID {attempt.provider_sid}; check it instead")
    return message, attempt


def _record(message: Message, reports: list[StatusReport | None], sid: str | None = None) -> Status:
    """Record a decision, unless the message was resolved or the SID was bound meanwhile."""
    with transaction():
        if sid is not None:
            advisory_lock(f"sid:{message.provider}:{sid}")
        rows = ledger.lock_outcomes([message.id])
        if message.id not in rows or rows[message.id].status is not Status.IN_DOUBT:
            raise Conflict("the message is no longer in doubt; reload it")
        if sid is not None:
            _raise_if_bound(message, sid)
        record.apply([report for report in reports if report], rows)
        return Status(ledger.lock_outcomes([message.id])[message.id].status)


def _raise_if_confusable(message: Message) -> None:
    statuses = reconciliation.confusable_statuses(message, datetime.now(UTC))
    if Status.SUBMITTING in statuses:
        raise Conflict(
            "a similar message to this recipient is being sent and has no SID yet; retry after 60 s"
        )


def _raise_if_bound(message: Message, sid: str) -> None:
    pair = (message.provider, sid)
    owner = attempts.by_sids({pair}).get(pair)
    if owner is None:
        return
    if owner.message_id != message.id:
        raise Conflict(f"{sid} is the SID of message {owner.message_id}; check the SID")
    if owner.number <= (message.outcome_attempt or 0):
        raise Conflict(
            f"{sid} is the SID of an attempt before the message was sent again; check the SID"
        )
