"""Turn inbound messages into the JSON of the API."""

from service.domain.keywords import Keyword
from service.models import InboundMessage
from service.providers.sandbox import SANDBOX
from service.representations import inbound_types as types
from service.representations.messages import time_text


def inbound(message: InboundMessage) -> types.InboundMessage:
    """Return an inbound message."""
    provider_time = message.provider_time
    return {
        "id": message.id,
        "test": message.provider == SANDBOX,
        "redacted": message.redacted_at is not None,
        "provider": message.provider,
        "account": message.account,
        "provider_sid": message.provider_sid,
        "from": message.from_address,
        "to": message.to_address,
        "messaging_service_sid": message.messaging_service_sid,
        "body": message.body,
        "media": message.media,
        "keyword": None if message.keyword is None else Keyword(message.keyword),
        "in_reply_to": message.in_reply_to,
        "received_at": time_text(message.received_at),
        "provider_time": None if provider_time is None else time_text(provider_time),
        "raw": message.raw,
    }
