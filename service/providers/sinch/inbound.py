"""Parse Sinch's inbound messages.

https://developers.sinch.com/docs/sms/api-reference/sms/tag/Inbounds/
"""

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any, Final

from service.domain.account import DEFAULT_ACCOUNT
from service.providers.base import Account, Callback, Inbound, InboundAnswer, Sender
from service.providers.sanitize import ADDRESS, as_sid, as_uuid, clip, scalar
from service.providers.sinch import reports

ANSWER: Final = InboundAnswer(200, None, b"")
_TYPES: Final = frozenset({"mo_text", "mo_binary", "mo_media"})
_SHORTEST_NUMBER: Final = 9  # shorter digits are short codes


def parsed(
    fields: Mapping[str, Any], callback: Callback, accounts: Mapping[str, Account]
) -> Inbound | None:
    """Return the inbound message in a verified request; None if it is a delivery report."""
    sid = as_sid(fields.get("id"))
    if scalar(fields.get("type")) not in _TYPES or sid is None:
        return None
    to = _address(fields.get("to"))
    return Inbound(
        provider=reports.NAME,
        account=_account_of(to, accounts),
        provider_sid=sid,
        from_address=_address(fields.get("from")),
        to_address=to,
        received_at=callback.received_at,
        body=_text(fields),
        media=list(_media(fields.get("body"))),
        reply_to_attempt=as_uuid(scalar(fields.get("client_reference"))),
        provider_time=_time(fields.get("received_at")),
        raw=reports.flat(fields),
    )


def _account_of(to: str, accounts: Mapping[str, Account]) -> str:
    owners = (name for name, account in accounts.items() if account.owns(Sender(to)))
    return next(owners, next(iter(accounts), DEFAULT_ACCOUNT))


def _address(value: object) -> str:
    """Return an address as Waybill writes it: Sinch omits the + of numbers."""
    text = clip(scalar(value).strip(), ADDRESS) or ""
    return f"+{text}" if text.isdecimal() and len(text) >= _SHORTEST_NUMBER else text


def _text(fields: Mapping[str, Any]) -> str | None:
    body = fields.get("body")
    if isinstance(body, Mapping):
        return reports.text(body.get("message")) or None
    return reports.text(body) or None


def _media(body: object) -> Iterator[Mapping[str, str | None]]:
    listed = body.get("media") if isinstance(body, Mapping) else None
    for item in listed if isinstance(listed, list) else ():
        if isinstance(item, Mapping) and (url := scalar(item.get("url"))):
            yield {"url": url, "content_type": scalar(item.get("content_type")) or None}


def _time(value: object) -> datetime | None:
    try:
        moment = datetime.fromisoformat(scalar(value))
    except ValueError:
        return None
    return moment if moment.tzinfo else None
