"""Whom Twilio blocks: persons who wrote STOP, until they write START.

Sinch blocks no one. https://www.twilio.com/docs/api/errors/21610, and for the words
https://www.twilio.com/docs/api/errors/23002
"""

from typing import Final

from simulator.error_codes import ApiError
from simulator.inbound.message import InboundText
from simulator.message import Order

_STOP: Final = frozenset(
    ("STOP", "STOPALL", "UNSUBSCRIBE", "CANCEL", "END", "QUIT", "REVOKE", "OPTOUT")
)
_START: Final = frozenset(("START", "YES", "UNSTOP"))
_UNSUBSCRIBED: Final = 21610

Block = tuple[str, str, str]  # account, person, number or Messaging Service


class Blocks:
    """The pairs of person and sender that Twilio blocks."""

    def __init__(self) -> None:
        self._blocks: set[Block] = set()

    def apply(self, text: InboundText) -> None:
        """Block or unblock the person, if this is what the text asks for."""
        pairs = {
            (text.account.id, _person(text.sender), sender)
            for sender in (text.to, text.service)
            if sender
        }
        word = str(text.fields.get("OptOutType") or text.body.strip()).upper()
        if text.account.provider != "twilio":
            return
        if word in _STOP:
            self._blocks |= pairs
        elif word in _START:
            self._blocks -= pairs

    def check(self, order: Order) -> None:
        """Raise the ApiError of a message to a person who blocked its sender."""
        for sender in (order.sender, order.service):
            if sender and (order.account.id, _person(order.to), sender) in self._blocks:
                raise ApiError(_UNSUBSCRIBED)

    def entries(self) -> list[dict[str, str]]:
        """Return all blocks."""
        names = ("account", "person", "sender")
        return [dict(zip(names, block, strict=True)) for block in sorted(self._blocks)]


def _person(address: str) -> str:
    """Return one address for SMS, MMS and RCS: a STOP on one of them counts for all."""
    return address.removeprefix("rcs:")
