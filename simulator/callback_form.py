"""The form fields of a Twilio status callback.

https://www.twilio.com/docs/messaging/guides/outbound-message-status-in-status-callbacks
"""

from datetime import UTC, datetime, timedelta
from typing import Final

from simulator.message import Message
from simulator.resource import API_VERSION

#: The statuses that Twilio reports. The first status of a message is never reported.
REPORTED: Final = frozenset(
    {"queued", "sent", "failed", "delivered", "undelivered", "canceled", "read"}
)
# The date of a delivery receipt is in the mobile network's local time; no field names the zone.
_NETWORK_UTC_OFFSETS: Final = (timedelta(0), timedelta(hours=-5), timedelta(hours=1))
_CHANNEL_INSTALL: Final = "XE00000000000000000000000000000001"

Pairs = list[tuple[str, str]]


def callback_form(message: Message) -> Pairs:
    """Return the fields for the current status of a message."""
    fields: Pairs = []
    if message.status in {"failed", "undelivered"} and message.error_code:
        fields.append(("ErrorCode", str(message.error_code)))
    fields += _channel_fields(message) if message.order.channel else _receipt(message)
    if message.order.service:
        fields.append(("MessagingServiceSid", message.order.service))
    if message.sender:
        fields.append(("From", message.sender))
    fields += [
        ("SmsSid", message.sid),
        ("SmsStatus", message.status),
        ("MessageStatus", message.status),
        ("To", message.order.to),
        ("MessageSid", message.sid),
        ("AccountSid", message.order.account.id),
        ("ApiVersion", API_VERSION),
    ]
    return fields


def _receipt(message: Message) -> Pairs:
    """Return the date of the delivery receipt, documented for SMS and MMS only."""
    if message.status not in {"delivered", "undelivered"}:
        return []
    local_time = (
        datetime.now(UTC) + _NETWORK_UTC_OFFSETS[message.number % len(_NETWORK_UTC_OFFSETS)]
    )
    return [("RawDlrDoneDate", local_time.strftime("%y%m%d%H%M"))]


def _channel_fields(message: Message) -> Pairs:
    channel, _, number = message.order.to.partition(":")
    fields = [("ChannelPrefix", channel), ("ChannelInstallSid", _CHANNEL_INSTALL)]
    if channel == "whatsapp":
        fields.append(("ChannelToAddress", number[:-4] + "XXXX"))
    if message.status in {"delivered", "undelivered", "read"}:
        fields.append(("EventType", message.status.upper()))
    if message.status in {"failed", "undelivered"}:
        fields.append(("ChannelStatusMessage", "The message was not delivered"))
    return fields
