"""Client of Waybill: send messages, read them, follow them; verify webhooks."""

from waybill_client.client import Waybill
from waybill_client.errors import (
    Conflict,
    CursorExpired,
    Invalid,
    InvalidSignature,
    NoAnswer,
    NotFound,
    Problem,
    RateLimited,
    ServerError,
    Unauthenticated,
    WaybillError,
)
from waybill_client.events import Event, Events
from waybill_client.merge import merge
from waybill_client.types import InboundMessage, Message, NewMessage, OptOut
from waybill_client.webhooks import verify

__all__ = [
    "Conflict",
    "CursorExpired",
    "Event",
    "Events",
    "InboundMessage",
    "Invalid",
    "InvalidSignature",
    "Message",
    "NewMessage",
    "NoAnswer",
    "NotFound",
    "OptOut",
    "Problem",
    "RateLimited",
    "ServerError",
    "Unauthenticated",
    "Waybill",
    "WaybillError",
    "merge",
    "verify",
]
