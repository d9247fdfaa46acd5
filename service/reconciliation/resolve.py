"""Resolve: let a person decide about a message in doubt, by its SID or as never sent."""

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
    """Decide about a message in doubt: its SID, or None for never sent.

    `decision` goes into the ledger in the same transaction. Returns the status that the message
    then shows. Raises NotFound, Conflict, or what the provider raises about the SID.
    """
    message, attempt = in_doubt(message_id)
    if provider_sid is None:
        return _record(message, [decision, look_up.verdict(message)])
    sid = provider_sid.strip()
    if not _SID.fullmatch(sid):
        raise Conflict("that is no SID: letters, digits, - and _ only, 64 at most")
    _check_rivals(message)
    _check_free(message, sid)
    # Not before the message was accepted here; which attempt it was, the text does not tell.
    since, until = message.created_at - look_up.SKEW, datetime.now(UTC) + look_up.SKEW
    sought = look_up.description(message, attempt, since, until)
    report = components().provider(message.provider).confirm(sought, sid)
    return _record(message, [decision, report], sid)


def in_doubt(message_id: UUID) -> tuple[Message, Attempt]:
    """Return a message that a person may decide about. Raises NotFound or Conflict."""
    with transaction():
        message, attempt = reconciliation.with_attempt(message_id)
    if message is None or attempt is None:
        raise NotFound("there is no such message, or it was never tried")
    if message.status is not Status.IN_DOUBT:
        raise Conflict(f"the message is not in doubt any more, it is {message.status}")
    if attempt.provider_sid is not None:
        raise Conflict(f"the provider has the message under {attempt.provider_sid}: look it up")
    return message, attempt


def _record(message: Message, reports: list[StatusReport | None], sid: str | None = None) -> Status:
    """Write a decision down, unless the message left its doubt or the SID was taken meanwhile."""
    with transaction():
        if sid is not None:
            advisory_lock(f"sid:{message.provider}:{sid}")
        rows = ledger.lock_outcomes([message.id])
        if message.id not in rows or rows[message.id].status is not Status.IN_DOUBT:
            raise Conflict("the message is not in doubt any more")
        if sid is not None:
            _raise_if_bound(message, sid)
        record.apply([report for report in reports if report], rows)
        return Status(ledger.lock_outcomes([message.id])[message.id].status)


def _check_rivals(message: Message) -> None:
    with transaction():
        rivals = reconciliation.rivals(message, datetime.now(UTC))
    if Status.SUBMITTING in rivals:
        raise Conflict(
            "another message like it is being sent to this recipient, and its SID is not known "
            "yet; try again in a minute"
        )


def _check_free(message: Message, sid: str) -> None:
    with transaction():
        _raise_if_bound(message, sid)


def _raise_if_bound(message: Message, sid: str) -> None:
    pair = (message.provider, sid)
    owner = attempts.by_sid({pair}).get(pair)
    if owner is not None and owner.message_id != message.id:
        raise Conflict(f"{sid} belongs to message {owner.message_id}; copy the SID again")
