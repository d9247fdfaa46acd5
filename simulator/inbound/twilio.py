"""Inbound messages as Twilio sends and lists them.

https://www.twilio.com/docs/messaging/guides/webhook-request
"""

import mimetypes
from collections.abc import Iterator
from email.utils import format_datetime

from simulator.inbound.message import InboundMessage
from simulator.resource import API_VERSION
from simulator.segments import count_segments

_PRICE = "-0.00750"  # US dollars
_PLACE = ("City", "State", "Zip", "Country")


def inbound_form(message: InboundMessage) -> list[tuple[str, str]]:
    """Return the fields of the request that brings an inbound message."""
    text = message.text
    fields = {
        **dict(_places()),
        "SmsMessageSid": message.sid,
        "NumMedia": str(len(text.media)),
        "SmsSid": message.sid,
        "SmsStatus": "received",
        "Body": text.body,
        "To": text.to,
        "NumSegments": _segments(message),
        "MessageSid": message.sid,
        "AccountSid": text.account.id,
        "From": text.sender,
        "ApiVersion": API_VERSION,
        **dict(_optional_fields(message)),
        **text.fields,
    }
    return [(name, str(value)) for name, value in fields.items()]


def inbound_resource(message: InboundMessage) -> dict[str, object]:
    """Return an inbound message as the Messages resource shows it."""
    text = message.text
    uri = f"/{API_VERSION}/Accounts/{text.account.id}/Messages/{message.sid}"
    date = format_datetime(message.received_at)
    return {
        "account_sid": text.account.id,
        "api_version": API_VERSION,
        "body": text.body,
        "date_created": date,
        "date_sent": date,
        "date_updated": date,
        "direction": "inbound",
        "error_code": None,
        "error_message": None,
        "from": text.sender,
        "messaging_service_sid": text.service,
        "num_media": str(len(text.media)),
        "num_segments": _segments(message),
        "price": _PRICE,
        "price_unit": "USD",
        "sid": message.sid,
        "status": "received",
        "subresource_uris": {"media": f"{uri}/Media.json"},
        "to": text.to,
        "uri": f"{uri}.json",
    }


def _places() -> Iterator[tuple[str, str]]:
    """Return the places of both numbers; a value that was not found is blank."""
    for side in ("From", "To"):
        yield from ((f"{side}{name}", "US" if name == "Country" else "") for name in _PLACE)


def _optional_fields(message: InboundMessage) -> Iterator[tuple[str, str]]:
    text = message.text
    if text.service:
        yield "MessagingServiceSid", text.service
    if text.channel:
        yield "ChannelPrefix", text.channel
    if text.channel == "whatsapp":
        yield "ProfileName", "Someone"
        yield "WaId", text.sender.partition("+")[2]
    if text.answered_sid:
        yield "OriginalRepliedMessageSid", text.answered_sid
        yield "OriginalRepliedMessageSender", text.to
    for number, url in enumerate(text.media):
        yield f"MediaUrl{number}", url
        yield f"MediaContentType{number}", mimetypes.guess_type(url)[0] or "image/jpeg"


def _segments(message: InboundMessage) -> str:
    """Return the number of segments; 1 for channels."""
    return "1" if message.text.channel else str(count_segments(message.text.body))
