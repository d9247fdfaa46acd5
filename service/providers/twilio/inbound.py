"""Parse Twilio's inbound messages.

https://www.twilio.com/docs/messaging/guides/webhook-request
"""

from collections.abc import Iterator, Mapping
from typing import Final

from service import addresses
from service.domain.account import DEFAULT_ACCOUNT
from service.domain.keywords import Keyword
from service.providers.base import Callback, Inbound, InboundAnswer
from service.providers.sanitize import as_address, as_sid
from service.providers.twilio import reports

# Twilio reads text/xml as TwiML, and sends text/plain to the person.
# https://www.twilio.com/docs/messaging/twiml
ANSWER: Final = InboundAnswer(
    200, "text/xml", b'<?xml version="1.0" encoding="UTF-8"?><Response />'
)
_MAX_MEDIA: Final = 100
_KEYWORDS: Final = {keyword.name: keyword for keyword in Keyword}


def parsed(form: Mapping[str, str], callback: Callback) -> Inbound | None:
    """Return the inbound message in a verified request; None if it is a status callback.

    A status callback always has a `MessageStatus`, an inbound message always `NumMedia`. The caller
    replaces the account.
    """
    if "MessageStatus" in form or "NumMedia" not in form:
        return None
    sid = as_sid(form.get("MessageSid") or form.get("SmsSid"))
    if sid is None:
        return None
    return Inbound(
        provider=reports.NAME,
        account=DEFAULT_ACCOUNT,
        provider_sid=sid,
        from_address=as_address(form.get("From", "")),
        to_address=as_address(form.get("To", "")),
        received_at=callback.received_at,
        body=form.get("Body") or None,
        media=list(_media(form)),
        messaging_service_sid=as_service(form.get("MessagingServiceSid")),
        keyword=_KEYWORDS.get(form.get("OptOutType", "").upper()),
        reply_to_sid=as_sid(form.get("OriginalRepliedMessageSid")),
        raw=form,
    )


def as_service(value: object) -> str | None:
    """Return the id of a Messaging Service as Waybill stores it, or None."""
    sid = as_sid(value)
    return sid and addresses.lower_id(sid)


def _media(form: Mapping[str, str]) -> Iterator[Mapping[str, str | None]]:
    for number in range(_MAX_MEDIA):
        url = form.get(f"MediaUrl{number}")
        if not url:
            return
        yield {"url": url, "content_type": form.get(f"MediaContentType{number}") or None}
