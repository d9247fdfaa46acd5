"""Expires messages past their deadline.

The deadline is checked when a message is claimed, again before the call, and by a periodic task,
which needs no send worker.
"""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime

from service.database import transaction
from service.database.batches import BATCH, sweep
from service.domain.deadline import ARRIVAL, LEAST_TIME_LEFT, is_past_deadline
from service.domain.report import Source, StatusReport
from service.domain.status import Status
from service.errors import EXPIRED, OUTCOME_UNKNOWN
from service.models import Message
from service.observability import events
from service.observability.metrics import counting
from service.providers.base import Outbound
from service.queries import attempts, messages
from service.queries.messages import Claimed
from service.recording import record
from service.retry_policy import retry_policy


def with_time_left(outbound: Outbound, message: Message) -> Outbound:
    """Return the outbound message with the validity that is left when the call arrives.

    Providers take whole seconds: rounded down, and at least 1.
    """
    if message.expires_at is None:
        return outbound
    left = message.expires_at - (outbound.send_at or datetime.now(UTC) + ARRIVAL)
    return replace(outbound, validity_period=max(1, int(left.total_seconds())))


def may_resend(message: Message, attempts_made: int) -> bool:
    """Tell whether the client allows another attempt, and there are time and attempts left."""
    return (
        message.resend_if_unknown
        and attempts_made < retry_policy(message.provider).attempts
        and not is_past_deadline(message, datetime.now(UTC))
    )


def expire_claimed(claimed: Sequence[Claimed], now: datetime) -> list[Claimed]:
    """Expire the claimed messages past their deadline, in this transaction; return them.

    Also those that were to wait until then: a claim takes messages up to 0.25 s before they are
    due, and would put them back again and again.
    """
    expired = [item for item in claimed if is_past_deadline(item.message, max(now, item.due_at))]
    messages.leave_without_attempt([item.message.id for item in expired])
    _record([item.message for item in expired], now)
    return expired


def expire_due() -> int:
    """Expire pending messages past their deadline, in batches; return how many."""
    return sweep(_expire_some)


def announce(expired: Sequence[Message]) -> None:
    """Count and log expired messages. Call it after the commit."""
    for message in expired:
        counting.message_expired(message.provider)
        events.message_expired(message.id, message.client_id, message.provider)


def _expire_some() -> int:
    now = datetime.now(UTC)
    with transaction():
        expired = messages.past_deadline(now + LEAST_TIME_LEFT, BATCH)
        _record(expired, now)
    announce(expired)
    return len(expired)


def _record(expired: Sequence[Message], now: datetime) -> None:
    if not expired:
        return
    maybe_sent = attempts.without_outcome([message.id for message in expired])
    record.apply([_verdict(message, now, sent=message.id in maybe_sent) for message in expired])


def _verdict(message: Message, now: datetime, *, sent: bool) -> StatusReport:
    """Return our own verdict. It names no attempt: a report about an earlier one outranks it.

    If an earlier attempt may have been sent, the message may have arrived: then the outcome is
    unknown, and the message is not expired.
    """
    return StatusReport(
        provider=message.provider,
        source=Source.API,
        word=OUTCOME_UNKNOWN if sent else Status.EXPIRED,
        status=Status.FAILED if sent else Status.EXPIRED,
        received_at=now,
        message_id=message.id,
        attempt_number=message.outcome_attempt or 0,
        error_code=OUTCOME_UNKNOWN if sent else EXPIRED,
        error_message=f"Not sent after its deadline, {message.expires_at:%Y-%m-%d %H:%M:%S}Z.",
    )
