"""Which senders a client may use when messages move between providers, if clients own senders."""

from collections.abc import Iterable, Mapping
from typing import Final, NamedTuple

from service.components import components
from service.models import Message
from service.providers.base import Sender
from service.queries import senders


class Owners(NamedTuple):
    """The clients that own senders, by sender; None if a client may use any sender."""

    by_sender: Mapping[str, int] | None

    def allow(self, client_id: int, sender: Sender) -> bool:
        """Return whether a client may use a sender, and the Messaging Service beside it."""
        owned = self.by_sender
        return owned is None or all(owned.get(part) == client_id for part in sender if part)


ANY: Final = Owners(None)


def of_default_senders() -> Owners:
    """Return the owners of the default senders of all accounts, to which messages can move."""
    return _owners([])


def of_messages(messages: Iterable[Message]) -> Owners:
    """Return the owners of the senders of messages, and of those of `of_default_senders`."""
    return _owners(map(sender_of, messages))


def sender_of(message: Message) -> Sender:
    """Return the sender of a message."""
    return Sender(message.sender, message.messaging_service_sid)


def _owners(named: Iterable[Sender]) -> Owners:
    """Return the owners of senders, with one query; with none if SENDER_OWNERSHIP is open."""
    bound = components()
    if bound.settings.sender_ownership == "open":
        return ANY
    defaults = (
        account.default_sender()
        for provider in bound.providers.values()
        for account in provider.accounts.values()
    )
    all_senders = (*named, *filter(None, defaults))
    return Owners(senders.owners({part for sender in all_senders for part in sender if part}))
