"""Changes the suppression list: who opted out of a sender, and who opted in again.

Of two changes of a pair the later counts, in whatever order they arrive.
"""

from collections.abc import Iterable

from service.domain.keywords import Keyword
from service.models import InboundMessage
from service.providers.base import Inbound
from service.providers.sandbox import SANDBOX
from service.queries import opt_outs
from service.queries.opt_outs import Change, Pair

RECIPIENT = "recipient"
_BEGINS = {Keyword.STOP: True, Keyword.START: False}


def from_keywords(received: Iterable[tuple[Inbound, Keyword | None]]) -> None:
    """Begin and end the opt-outs of which inbound messages tell, in this transaction.

    By the provider's time where there is one, else by arrival.
    """
    opt_outs.change(
        [
            change
            for message, keyword in received
            if keyword in _BEGINS and message.provider != SANDBOX
            for change in changes_in(message, begins=_BEGINS[keyword])
        ]
    )


def changes_in(message: Inbound | InboundMessage, *, begins: bool) -> Iterable[Change]:
    """Return the changes of a message to a number: also those of its Messaging Service."""
    at = min(message.provider_time or message.received_at, message.received_at)
    for sender in filter(None, (message.to_address, message.messaging_service_sid)):
        pair = Pair(message.from_address, sender, message.provider)
        yield Change(pair, begins, at, reason="keyword", changed_by=RECIPIENT)
