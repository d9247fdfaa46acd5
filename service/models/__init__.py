"""The tables. The outcome of a message can be rebuilt from its ledger (`StatusEvent`)."""

from service.models.callbacks import DeadLetter, Overflow
from service.models.clients import ApiKey, Client
from service.models.events import Event
from service.models.holds import Hold
from service.models.inbound import InboundMessage
from service.models.inbound_lists import InboundList
from service.models.installation import InstallationKey
from service.models.ledger import StatusEvent
from service.models.messages import Attempt, Message
from service.models.operators import OperatorKey, OperatorSession
from service.models.opt_outs import OptOut
from service.models.senders import ClientSender
from service.models.webhooks import WebhookDelivery, WebhookEndpoint

__all__ = [
    "ApiKey",
    "Attempt",
    "Client",
    "ClientSender",
    "DeadLetter",
    "Event",
    "Hold",
    "InboundList",
    "InboundMessage",
    "InstallationKey",
    "Message",
    "OperatorKey",
    "OperatorSession",
    "OptOut",
    "Overflow",
    "StatusEvent",
    "WebhookDelivery",
    "WebhookEndpoint",
]
