"""Why messages are not sent again."""

from collections.abc import Collection, Mapping
from enum import StrEnum
from typing import Final, NamedTuple
from uuid import UUID

from service.components import components
from service.domain.report import Source
from service.domain.status import ON_AIR, Status, is_final
from service.errors import OUTCOME_UNKNOWN
from service.models import Message
from service.providers.sandbox import SANDBOX
from service.queries import attempts, resends
from service.sending.alternatives import first_of_route, is_configured
from service.sending.ownership import Owners, sender_of

# The outcome of a message has a bit for each number up to 62. Attempts after the last resend need
# some of them.
_MAX_NUMBER: Final = 58


class Refusal(StrEnum):
    """Why a message is not sent again."""

    NOT_FINAL = "the message has not ended"
    CANCELED = "the message was canceled"
    ON_AIR = "the message was sent: a second copy could arrive"
    OPTED_OUT = "the recipient opted out"
    REDACTED = "the text of the message is deleted"
    TOO_OFTEN = "the message was tried too often"
    NOT_CONFIGURED = "the provider or the account of the message is no longer configured"
    NOT_OWNED = "the sender of the message does not belong to the client"
    UNKNOWN = "it is unknown whether the message was sent"


ADVICE: Final[Mapping[Refusal, str]] = {
    Refusal.NOT_FINAL: "; wait until it has a final status",
    Refusal.CANCELED: "; post a new message",
    Refusal.REDACTED: "; post a new message",
    Refusal.TOO_OFTEN: "; post a new message",
    Refusal.NOT_OWNED: "; post a new message from a sender of yours",
    Refusal.UNKNOWN: "; use confirm_duplicate: true if a second copy is acceptable",
}


class Order(NamedTuple):
    """Who wants messages sent again. `confirmed`: also if that may be a second copy."""

    source: Source
    confirmed: bool = False
    operator: str | None = None


Refusals = Mapping[UUID, Refusal | None]


def refusals_of(messages: Collection[Message], order: Order, owners: Owners) -> Refusals:
    """Return why messages are not sent again, None for those that can be."""
    ids = [message.id for message in messages]
    transmitted = resends.on_air(ids) if ids else set()
    unknown = set() if order.confirmed else attempts.without_outcome(ids)
    return {
        message.id: _refusal(message, order, owners)
        or (Refusal.ON_AIR if message.id in transmitted else None)
        or (Refusal.UNKNOWN if message.id in unknown or _is_unknown(message, order) else None)
        for message in messages
    }


def _refusal(message: Message, order: Order, owners: Owners) -> Refusal | None:
    """Return why a message is not sent again, as far as its row tells."""
    stays = first_of_route(message, None, owners) is None
    rules = (
        (message.status in ON_AIR, Refusal.ON_AIR),
        (not is_final(message.status), Refusal.NOT_FINAL),
        (message.status is Status.CANCELED, Refusal.CANCELED),
        (_opted_out(message), Refusal.OPTED_OUT),
        (message.redacted_at is not None or message.forget_as is not None, Refusal.REDACTED),
        (message.attempts >= _MAX_NUMBER, Refusal.TOO_OFTEN),
        (stays and not is_configured(message), Refusal.NOT_CONFIGURED),
        (stays and not _may_use_sender(message, order, owners), Refusal.NOT_OWNED),
    )
    return next((refusal for applies, refusal in rules if applies), None)


def _may_use_sender(message: Message, order: Order, owners: Owners) -> bool:
    """Return whether a message may be sent again from its sender: an operator may use any."""
    if order.source is not Source.CLIENT or message.provider == SANDBOX:
        return True
    return owners.allow(message.client_id, sender_of(message))


def _is_unknown(message: Message, order: Order) -> bool:
    return message.error_code == OUTCOME_UNKNOWN and not order.confirmed


def _opted_out(message: Message) -> bool:
    code = message.error_code
    return code is not None and components().explain(message.provider, code).opted_out
