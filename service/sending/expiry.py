"""Expires messages past their deadline.

The deadline is checked when a message is claimed, again before the call, and by a periodic task,
which needs no send worker.
"""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime

from service.database import transaction
from service.database.batches import BATCH, sweep
from service.domain.deadline import is_past_deadline
from service.domain.report import Source, StatusReport
from service.domain.status import Status
from service.errors import EXPIRED, OUTCOME_UNKNOWN
from service.models import Message
from service.observability import events
from service.observability.metrics import counting
from service.providers.base import Outbound
from service.queries import attempts, messages
from service.recording import record
from service.retry_policy import retry_policy


def with_time_left(outbound: Outbound, message: Message) -> Outbound:
    """Return what is handed over, with as much validity as is left when the call begins.

    In whole seconds, as providers take them, rounded down; in the last second it is one.
    """
    if message.expires_at is None:
        return outbound
    left = message.expires_at - (outbound.send_at or datetime.now(UTC))
    return replace(outbound, validity_period=max(1, int(left.total_seconds())))


def may_resend(message: Message, attempts_made: int) -> bool:
    """Tell whether the client wants another attempt, and there is time and room for one."""
    return (
        message.resend_if_unknown
        and attempts_made < retry_policy(message.provider).attempts
        and not is_past_deadline(message, datetime.now(UTC))
    )


def expire_claimed(claimed: Sequence[Message], now: datetime) -> list[Message]:
    """Expire those of the claimed messages whose time is over, in this transaction; return them."""
    expired = [message for message in claimed if is_past_deadline(message, now)]
    if not expired:
        return []
    for message in expired:
        # No call, so no attempt.
        messages.leave_submitting(
            message.id, message.attempts, attempts=message.attempts - 1, submitted_at=None
        )
    _record(expired, now)
    return expired


def expire_due() -> int:
    """Expire messages that wait past their deadline, as many as fit into one sweep."""
    return sweep(_expire_some)


def announce(expired: Sequence[Message]) -> None:
    """Count and log messages that expired, after the commit."""
    for message in expired:
        counting.message_expired(message.provider)
        events.message_expired(message.id, message.client_id, message.provider)


def _expire_some() -> int:
    now = datetime.now(UTC)
    with transaction():
        expired = messages.past_deadline(now, BATCH)
        _record(expired, now)
    announce(expired)
    return len(expired)


def _record(expired: Sequence[Message], now: datetime) -> None:
    doubtful = attempts.without_outcome([message.id for message in expired])
    record.apply([_verdict(message, now, sent=message.id in doubtful) for message in expired])


def _verdict(message: Message, now: datetime, *, sent: bool) -> StatusReport:
    """Return our own verdict. It names no attempt: what is said of an earlier one outranks it.

    Where an earlier attempt may have been sent, the message may have arrived: that is not expiry.
    """
    return StatusReport(
        provider=message.provider,
        source=Source.API,
        word=OUTCOME_UNKNOWN if sent else Status.EXPIRED,
        status=Status.FAILED if sent else Status.EXPIRED,
        received_at=now,
        message_id=message.id,
        error_code=OUTCOME_UNKNOWN if sent else EXPIRED,
        error_message=f"Not sent after its deadline, {message.expires_at:%Y-%m-%d %H:%M:%S}Z.",
    )
