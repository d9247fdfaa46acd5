"""Turn messages and ledger events into JSON."""

from collections.abc import Sequence
from datetime import UTC, datetime

from service.components import components
from service.domain.priority import Priority
from service.domain.status import Status, is_final
from service.errors import OUTCOME_UNKNOWN
from service.holds.waiting import Waiting, waiting
from service.models import Message, StatusEvent
from service.providers.sandbox import SANDBOX
from service.representations import types


def messages(messages: Sequence[Message]) -> list[types.Message]:
    """Return messages with their current statuses."""
    reasons = waiting(messages)
    return [_message(message, reasons.get(message.hold_id or 0)) for message in messages]


def message(message: Message) -> types.Message:
    """Return a message with its current status."""
    return messages([message])[0]


def _message(message: Message, waiting: Waiting | None) -> types.Message:
    return {
        **_request(message),
        "version": message.version,
        "status": message.status,
        "final": is_final(message.status),
        "provider_sid": message.provider_sid,
        "waiting": _waiting(waiting),
        "error": _error(message),
        "conflict": bool(message.failed_in & message.delivered_in),
        "segments": message.estimated_segments if message.segments is None else message.segments,
        "price": _price(message),
        "submitted_at": _time(message.submitted_at),
        "final_at": _time(message.final_at),
        "updated_at": time_text(message.updated_at),
    }


def accepted(message: Message) -> types.Message:
    """Return a message as it was when accepted: a repeated post gets the same answer."""
    return {
        **_request(message),
        "version": 1,
        "status": Status.PENDING,
        "final": False,
        "provider_sid": None,
        "waiting": None,
        "error": None,
        "conflict": False,
        "segments": message.estimated_segments,
        "price": None,
        "submitted_at": None,
        "final_at": None,
        "updated_at": time_text(message.created_at),
    }


def event(event: StatusEvent) -> types.Event:
    """Return an event of the ledger."""
    return {
        "status": event.status,
        "provider_status": event.word,
        "source": event.source,
        "provider": event.provider,
        "provider_sid": event.provider_sid,
        "attempt_id": event.attempt_id,
        "error_code": event.error_code,
        "error_message": event.error_message,
        "received_at": time_text(event.received_at),
        "provider_time": event.provider_time,
        "repeats": event.repeats,
        "raw": event.raw,
    }


def _request(message: Message) -> types.Request:
    return {
        "id": message.id,
        "test": message.provider == SANDBOX,
        "redacted": message.redacted_at is not None,
        "provider": message.provider,
        "account": message.account,
        "to": message.to,
        "from": message.sender,
        "messaging_service_sid": message.messaging_service_sid,
        "body": message.body,
        "media_urls": message.media_urls,
        "content_sid": message.content_sid,
        "content_variables": message.content_variables,
        "send_at": _time(message.send_at),
        "validity_period": message.validity_period,
        "expires_at": _time(message.expires_at),
        "reference": message.reference,
        "metadata": message.details,
        "priority": Priority(message.priority).word,
        "resend_if_unknown": message.resend_if_unknown,
        "smart_encoding": message.smart_encoding,
        "encoding": message.encoding,
        "webhook_endpoint": message.webhook_endpoint_id,
        "created_at": time_text(message.created_at),
    }


def _waiting(waiting: Waiting | None) -> types.Waiting | None:
    return waiting and {"reason": waiting.reason, "since": time_text(waiting.since)}


def _error(message: Message) -> types.Error | None:
    # A message whose provider stays silent keeps its status; the error says so.
    code = message.error_code or (OUTCOME_UNKNOWN if message.unknown_since else None)
    if code is None:
        return None
    fact = components().explain(message.provider, code)
    return {
        "code": code,
        "message": message.error_message,
        "explanation": fact.explanation,
        "retryable": fact.retryable,
    }


def _price(message: Message) -> types.Price | None:
    if message.price is None:
        return None
    return {"amount": f"{message.price:f}", "currency": message.price_currency}


def _time(time: datetime | None) -> str | None:
    return None if time is None else time_text(time)


def time_text(time: datetime) -> str:
    """Return a time in UTC, with milliseconds."""
    return time.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
