"""Find the holds that concern a message."""

from collections.abc import Iterable
from typing import Final, NamedTuple, Self

import phonenumbers

from service.addresses import number_of
from service.domain.scope import HoldKind, Scope
from service.models import Hold, Message
from service.providers.base import Sender
from service.providers.sandbox import SANDBOX

UNKNOWN_COUNTRY: Final = "unknown"


class Subject(NamedTuple):
    """What holds can be about, of one message."""

    provider: str
    account: str
    sender: str  # or its Messaging Service
    client_id: int
    to: str

    @classmethod
    def of(cls, message: Message) -> Self:
        """Return the subject of a message as it is now."""
        sender = Sender(message.sender, message.messaging_service_sid).key
        return cls(message.provider, message.account, sender, message.client_id, message.to)

    def value(self, scope: Scope) -> str:
        """Return what a hold of this scope names besides provider and account."""
        if scope is Scope.SENDER:
            return self.sender
        if scope is Scope.COUNTRY:
            return country_of(self.to)
        return str(self.client_id) if scope is Scope.CLIENT else ""


def holds_on(subject: Subject, holds: Iterable[Hold]) -> list[Hold]:
    """Return those of the active holds that concern a message, pauses first.

    A message that waits for a pause is not released to probe a block.
    """
    if subject.provider == SANDBOX:
        return []
    active = [hold for hold in holds if hold.ended_at is None and _concerns(hold, subject)]
    return sorted(active, key=lambda hold: hold.kind != HoldKind.PAUSED)


def country_of(address: str) -> str:
    """Return the country of a number, as two capital letters."""
    try:
        parsed = phonenumbers.parse(number_of(address))
    except phonenumbers.NumberParseException:
        return UNKNOWN_COUNTRY
    return phonenumbers.region_code_for_number(parsed) or UNKNOWN_COUNTRY


def _concerns(hold: Hold, subject: Subject) -> bool:
    return (
        hold.provider in ("", subject.provider)
        and hold.account in ("", subject.account)
        and (not hold.value or hold.value == subject.value(Scope(hold.scope)))
    )
