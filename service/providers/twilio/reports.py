"""Twilio's words for a status, and how its callbacks and resources become reports."""

import json
from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any, Final
from urllib.parse import parse_qsl
from uuid import UUID

from service.domain.report import Price, Source, StatusReport
from service.domain.status import Status
from service.providers.contract import Callback

NAME: Final = "twilio"

# https://www.twilio.com/docs/messaging/api/message-resource#message-status-values
# `partially_delivered` is deprecated and says nothing certain; `receiving` and `received` are
# inbound. They stay unknown: kept in the ledger, changing nothing.
STATUSES: Final[Mapping[str, Status]] = {
    "accepted": Status.ACCEPTED,
    "scheduled": Status.SCHEDULED,
    "queued": Status.QUEUED,
    "canceled": Status.CANCELED,
    "sending": Status.SENDING,
    "sent": Status.SENT,
    "failed": Status.FAILED,
    "undelivered": Status.UNDELIVERED,
    "delivered": Status.DELIVERED,
    "read": Status.READ,
}

# Longest values we keep as columns; the raw payload has the rest.
_SHORT: Final = 64
_LONG: Final = 1000


def from_callback(callback: Callback) -> StatusReport:
    """Put one verified callback into our words. Total: an odd body becomes an odd report."""
    form = _fields(callback.body)
    word = form.get("MessageStatus") or form.get("SmsStatus") or ""
    return StatusReport(
        provider=NAME,
        source=Source.CALLBACK,
        word=clip(word, _SHORT) or "",
        status=STATUSES.get(word),
        received_at=callback.received_at,
        attempt_id=_uuid(callback.attempt),
        provider_sid=clip(form.get("MessageSid") or form.get("SmsSid"), _SHORT),
        error_code=clip(form.get("ErrorCode"), _SHORT),
        error_message=clip(form.get("ErrorMessage") or form.get("ChannelStatusMessage"), _LONG),
        provider_time=clip(form.get("RawDlrDoneDate"), _SHORT),
        raw=form,
    )


def from_resource(
    resource: Mapping[str, Any], source: Source, attempt_id: UUID | None, received_at: datetime
) -> StatusReport:
    """Put a Message resource, as the API answers with, into our words."""
    word = str(resource.get("status") or "")
    return StatusReport(
        provider=NAME,
        source=source,
        word=clip(word, _SHORT) or "",
        status=STATUSES.get(word),
        received_at=received_at,
        attempt_id=attempt_id,
        provider_sid=clip(resource.get("sid"), _SHORT),
        error_code=clip(resource.get("error_code"), _SHORT),
        error_message=clip(resource.get("error_message"), _LONG),
        provider_time=clip(resource.get("date_sent"), _SHORT),
        segments=_count(resource.get("num_segments")),
        price=_price(resource.get("price"), resource.get("price_unit")),
        raw=resource,
    )


def clip(value: object, length: int) -> str | None:
    """Return a value as text that any database can hold, or None for nothing."""
    return _storable(str(value))[:length] if value else None


def _fields(body: bytes) -> dict[str, str]:
    text = body.decode(errors="replace")
    if text.startswith("{"):
        return _json_fields(text)
    pairs = parse_qsl(text, keep_blank_values=True)
    # In a form only these can become what cannot be stored; to look first is a fifth of the cost.
    if "\x00" in text or "%00" in text:
        return {_storable(key): _storable(value) for key, value in pairs}
    return dict(pairs)


def _json_fields(text: str) -> dict[str, str]:
    try:
        pairs = list(json.loads(text).items())
    except (ValueError, RecursionError):
        pairs = [("unreadable", text)]
    return {_storable(str(key)): _storable(str(value)) for key, value in pairs}


def _storable(text: str) -> str:
    """Replace NUL, which PostgreSQL cannot hold, and lone surrogates, which nobody can."""
    return text.replace("\x00", "\ufffd").encode(errors="replace").decode()


def _uuid(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None


def _count(value: object) -> int | None:
    text = str(value)
    return int(text) if text.isdecimal() and len(text) <= 3 and int(text) > 0 else None


def _price(amount: object, currency: object) -> Price | None:
    try:
        # As the column holds it: six digits on either side of the point.
        charged = Decimal(str(amount)).quantize(Decimal("0.000001")).normalize()
    except ArithmeticError:
        return None
    if not charged.is_finite() or abs(charged) >= 1_000_000:
        return None
    return Price(charged, clip(currency, 8) or "")
