"""Puts back claimed messages whose time has not come: their `send_at`, or the rate of a sender."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

from service.components import components
from service.coordination.sender_rate_limit import SendRequest
from service.domain.deadline import before_deadline
from service.domain.status import Status
from service.models import Message
from service.providers.base import Sender
from service.queries import messages
from service.queries.messages import Claimed
from service.texts.segments import segments

# Seconds. A claim takes messages that are due within 0.25 s: a shorter delay would be in vain.
_SHORTEST_DELAY: Final = 0.3


def ready(claimed: Sequence[Claimed], limit: int, now: datetime) -> list[Claimed]:
    """Return at most `limit` messages that may be sent now; put the others back."""
    due = list[Claimed]()
    for item in claimed:
        if not _is_scheduled_here(item.message, now):
            due.append(item)
        elif item.message.send_at is not None:
            _put_back(item.message, item.message.send_at)
    for item in due[limit:]:  # they keep their turn
        _put_back(item.message, item.due_at)
    return _within_rate(due[:limit], now)


def provider_schedules(message: Message, now: datetime) -> bool:
    """Return whether the provider can hold a message until its `send_at`."""
    if message.send_at is None:
        return False
    ahead = (message.send_at - now).total_seconds()
    provider = components().providers.get(message.provider)
    return provider is not None and provider.can_schedule(message.messaging_service_sid, ahead)


def _is_scheduled_here(message: Message, now: datetime) -> bool:
    """Tell whether Waybill must hold a message: also if it waited past the provider's window."""
    return (
        message.send_at is not None
        and message.send_at > now
        and not provider_schedules(message, now)
    )


def _within_rate(due: Sequence[Claimed], now: datetime) -> list[Claimed]:
    """Return the messages that their sender may send now; reschedule the others."""
    delays = components().sender_rates.delays([_send_request(item) for item in due])
    sendable = list[Claimed]()
    for item, delay in zip(due, delays, strict=True):
        if delay > 0:
            _put_back(item.message, now + timedelta(seconds=max(delay, _SHORTEST_DELAY)))
        else:
            sendable.append(item)
    return sendable


def _send_request(item: Claimed) -> SendRequest:
    message = item.message
    return SendRequest(
        account=f"{message.provider}:{message.account}",
        sender=Sender(message.sender, message.messaging_service_sid).key,
        queue=f"{message.client_id}:{message.priority}",
        segments=segments(message.body),
        rescheduled=item.due_at not in (message.created_at, message.send_at, message.resent_at),
    )


def _put_back(message: Message, due_at: datetime) -> None:
    due_at = before_deadline(due_at, message)
    messages.leave_without_attempt([message.id], status=Status.PENDING, due_at=due_at)
