"""Changes the suppression list: who opted out of a sender, and who opted in again.

The later of two decisions about a pair counts. In which order they arrive does not matter.
"""

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Final

from service.database import transaction
from service.domain.keywords import Keyword
from service.models import InboundMessage
from service.opt_outs import pairs
from service.opt_outs.apply import apply
from service.providers.base import Inbound
from service.providers.sandbox import SANDBOX
from service.queries import opt_out_lists
from service.queries.opt_outs import Change, Pair, person_of

RECIPIENT: Final = "recipient"
_BEGINS: Final = {Keyword.STOP: True, Keyword.START: False}


def begin(number: str, sender: str | None, *, reason: str, by: str, test: bool = False) -> None:
    """Begin the opt-out of a person from a sender, or with None from every sender.

    `number` and `sender` are in any spelling. `test`: of a test key; it suppresses nothing.
    Raises Invalid.
    """
    now = datetime.now(UTC)
    keys = pairs.pairs(number, sender, test=test)
    with transaction():
        apply([Change(pair, True, now, reason, by) for pair in keys])


def end(number: str, sender: str | None, *, reason: str, by: str, test: bool = False) -> int:
    """End the opt-outs of a person from a sender, or with None all; return how many ended.

    A number without a channel matches every channel. Arguments as for `begin`. Raises Invalid.
    """
    addresses, normalised = pairs.listed(number), pairs.listed_sender(sender)
    now = datetime.now(UTC)
    with transaction():
        rows = opt_out_lists.of_person(addresses, normalised, test=test)
        keys = [Pair(row.to, row.sender, row.provider) for row in rows]
        return apply([Change(pair, False, now, reason, by) for pair in keys])


def from_keywords(received: Iterable[tuple[Inbound, Keyword | None]]) -> None:
    """Begin and end the opt-outs of which inbound messages tell, in this transaction.

    By the provider's time where there is one, else by arrival.
    """
    apply(
        change
        for message, keyword in received
        if keyword in _BEGINS and message.provider != SANDBOX
        for change in changes_in(message, begins=_BEGINS[keyword])
    )


def changes_in(message: Inbound | InboundMessage, *, begins: bool) -> Iterable[Change]:
    """Return the changes of a message to a number: also those of its Messaging Service."""
    at = min(message.provider_time or message.received_at, message.received_at)
    person = person_of(message.from_address)
    for sender in filter(None, (message.to_address, message.messaging_service_sid)):
        pair = Pair(person, sender, message.provider)
        yield Change(pair, begins, at, reason="keyword", changed_by=RECIPIENT)
