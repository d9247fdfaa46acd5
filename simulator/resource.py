"""The JSON of a message in the Messages resource.

https://www.twilio.com/docs/messaging/api/message-resource#message-properties
"""

from datetime import datetime
from email.utils import format_datetime

from simulator.error_codes import error_text
from simulator.message import FINAL, Message
from simulator.segments import count_segments

API_VERSION = "2010-04-01"
_PRICE = 0.0079  # US dollars for one segment


def to_resource(message: Message) -> dict[str, object]:
    """Return the JSON of one message."""
    account_sid = message.order.account.id
    uri = f"/{API_VERSION}/Accounts/{account_sid}/Messages/{message.sid}"
    segments = _segments(message)
    return {
        "account_sid": account_sid,
        "api_version": API_VERSION,
        "body": message.body,
        "date_created": _rfc_2822(message.created_at),
        "date_sent": _rfc_2822(message.sent_at),
        "date_updated": _rfc_2822(message.updated_at),
        "direction": "outbound-api",
        "error_code": message.error_code,
        "error_message": error_text(message.error_code),
        "from": message.sender,
        "messaging_service_sid": message.order.service,
        "num_media": str(len(message.order.media)),
        "num_segments": str(segments),
        "price": _price(message, segments),
        "price_unit": "USD",
        "sid": message.sid,
        "status": message.status,
        "subresource_uris": {"media": f"{uri}/Media.json"},
        "to": message.order.to,
        "uri": f"{uri}.json",
    }


def _segments(message: Message) -> int:
    """Return 0 until a Messaging Service has chosen a sender, else the number of segments."""
    if message.order.service and message.status in {"accepted", "scheduled", "canceled"}:
        return 0
    return count_segments(message.order.body)


def _price(message: Message, segments: int) -> str | None:
    charged = message.status in FINAL and bool(message.on_air)
    return f"-{_PRICE * segments:.5f}" if charged else None


def _rfc_2822(moment: datetime | None) -> str | None:
    return format_datetime(moment) if moment else None
