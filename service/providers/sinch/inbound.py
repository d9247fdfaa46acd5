"""Parse Sinch's inbound messages.

https://developers.sinch.com/docs/sms/api-reference/sms/tag/Inbounds/
"""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any, Final

from service.domain.account import DEFAULT_ACCOUNT
from service.providers.base import Inbound, InboundAnswer
from service.providers.sanitize import as_address, as_sid, as_uuid, scalar, storable
from service.providers.sinch import reports

ANSWER: Final = InboundAnswer(200, None, b"")
_TYPES: Final = frozenset({"mo_text", "mo_binary", "mo_media"})
_BINARY: Final = "mo_binary"
_MAX_MEDIA: Final = 100


def parsed(fields: Mapping[str, Any], received_at: datetime) -> Inbound | None:
    """Return an inbound message of a request or a list; None if it is a delivery report.

    The caller replaces the account: neither has it.
    """
    sid = as_sid(fields.get("id"))
    if scalar(fields.get("type")) not in _TYPES or sid is None:
        return None
    return Inbound(
        provider=reports.NAME,
        account=DEFAULT_ACCOUNT,
        provider_sid=sid,
        from_address=_address(fields.get("from")),
        to_address=_address(fields.get("to")),
        received_at=received_at,
        body=_text(fields),
        media=list(_media(fields.get("body"))),
        reply_to_attempt=as_uuid(scalar(fields.get("client_reference"))),
        provider_time=_time(fields.get("received_at")),
        raw=reports.flat(fields),
    )


def _address(value: object) -> str:
    """Return an address as Waybill stores addresses. Sinch omits the + of numbers.

    Digits that are too few for a number are a short code.
    """
    text = scalar(value)
    return as_address(f"+{text.strip()}", text) if text.strip()[:1].isdigit() else as_address(text)


def _text(fields: Mapping[str, Any]) -> str | None:
    """Return the text of a message; a binary message has none."""
    body = fields.get("body")
    if isinstance(body, Mapping):
        return reports.text(body.get("message")) or None
    return None if fields.get("type") == _BINARY else reports.text(body) or None


def _media(body: object) -> Iterator[Mapping[str, str | None]]:
    listed = body.get("media") if isinstance(body, Mapping) else None
    for item in listed[:_MAX_MEDIA] if isinstance(listed, list) else ():
        if isinstance(item, Mapping) and (url := scalar(item.get("url"))):
            yield {
                "url": storable(url),
                "content_type": storable(scalar(item.get("content_type"))) or None,
            }


def _time(value: object) -> datetime | None:
    """Return a time with a time zone, in UTC, or None."""
    try:
        moment = datetime.fromisoformat(scalar(value))
        return moment.astimezone(UTC) if moment.tzinfo else None
    except (ValueError, OverflowError):
        return None
