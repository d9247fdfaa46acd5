"""The tables. The outcome of a message can be rebuilt from its ledger (`StatusEvent`)."""

from service.models.callbacks import DeadLetter, Overflow
from service.models.clients import ApiKey, Client
from service.models.events import Event
from service.models.holds import Hold
from service.models.installation import InstallationKey
from service.models.ledger import StatusEvent
from service.models.messages import Attempt, Message
from service.models.operators import OperatorKey, OperatorSession
from service.models.opt_outs import OptOut
from service.models.webhooks import WebhookDelivery, WebhookEndpoint

__all__ = [
    "ApiKey",
    "Attempt",
    "Client",
    "DeadLetter",
    "Event",
    "Hold",
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
