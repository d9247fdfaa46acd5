"""Twilio's words for a status, and how its callbacks and resources become reports."""

import json
from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal, InvalidOperation
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
        word=_clip(word, _SHORT) or "",
        status=STATUSES.get(word),
        received_at=callback.received_at,
        attempt_id=_uuid(callback.attempt),
        provider_sid=_clip(form.get("MessageSid") or form.get("SmsSid"), _SHORT),
        error_code=_clip(form.get("ErrorCode"), _SHORT),
        error_message=_clip(form.get("ErrorMessage") or form.get("ChannelStatusMessage"), _LONG),
        provider_time=_clip(form.get("RawDlrDoneDate"), _SHORT),
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
        word=_clip(word, _SHORT) or "",
        status=STATUSES.get(word),
        received_at=received_at,
        attempt_id=attempt_id,
        provider_sid=_clip(resource.get("sid"), _SHORT),
        error_code=_clip(resource.get("error_code"), _SHORT),
        error_message=_clip(resource.get("error_message"), _LONG),
        provider_time=_clip(resource.get("date_sent"), _SHORT),
        segments=_count(resource.get("num_segments")),
        price=_price(resource.get("price"), resource.get("price_unit")),
        raw=resource,
    )


def _fields(body: bytes) -> dict[str, str]:
    text = body.decode(errors="replace").replace("\x00", "\ufffd")
    if text.startswith("{"):
        try:
            return {str(key): str(value) for key, value in json.loads(text).items()}
        except (ValueError, RecursionError):
            return {"unreadable": text}
    # %00 decodes to NUL, which PostgreSQL cannot hold in text.
    return {
        key.replace("\x00", "\ufffd"): value.replace("\x00", "\ufffd")
        for key, value in parse_qsl(text, keep_blank_values=True)
    }


def _clip(value: object, length: int) -> str | None:
    return str(value)[:length] if value else None


def _uuid(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None


def _count(value: object) -> int | None:
    text = str(value)
    return int(text) if text.isdecimal() and 0 < int(text) < 1000 else None


def _price(amount: object, currency: object) -> Price | None:
    try:
        charged = Decimal(str(amount)).normalize()
    except InvalidOperation:
        return None
    # NaN and infinities parse as decimals too; the column holds six digits either side.
    if not charged.is_finite() or abs(charged) >= 1_000_000:
        return None
    return Price(charged, _clip(currency, 8) or "")
