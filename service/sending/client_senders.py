"""The senders that a client may use, and what chooses one from its pools, for one request."""

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from typing import Final, NamedTuple

from service.components import components
from service.domain.scope import HOLDING
from service.holds.match import Subject, holds_on
from service.models import Hold
from service.providers.base import Sender
from service.queries import holds, senders
from service.sending import pools


class ClientSenders(NamedTuple):
    """The senders and pools of a client."""

    client_id: int = 0
    is_enforced: bool = False  # only these senders may be used
    owned: Collection[str] = ()
    pools: Mapping[str, Mapping[str, float]] = {}  # the weight of each sender, by pool
    last_used: Mapping[str, str] = {}  # the sender of the last message, by recipient
    holds: Sequence[Hold] = ()

    def allow(self, sender: str) -> bool:
        """Return whether the client may use a number, a name or a Messaging Service."""
        return not self.is_enforced or sender in self.owned

    def is_held(self, to: str, provider: str, account: str, sender: Sender) -> bool:
        """Return whether a message from this sender would wait for a hold."""
        subject = Subject(provider, account, sender.key, self.client_id, to)
        return any(hold.kind in HOLDING for hold in holds_on(subject, self.holds))


UNRESTRICTED: Final = ClientSenders()


def load(client_id: int, recipients: Collection[str] | None) -> ClientSenders:
    """Load the senders of a client.

    `recipients` of the messages that name a pool; None if no message does. Without a pool this
    makes one query with SENDER_OWNERSHIP=enforced, and none with open.
    """
    is_enforced = components().settings.sender_ownership == "enforced"
    if recipients is None and not is_enforced:
        return UNRESTRICTED
    owned = senders.of_client(client_id)
    if recipients is None:
        return ClientSenders(client_id, is_enforced, owned)
    return ClientSenders(
        client_id,
        is_enforced,
        owned,
        _weighted(owned),
        senders.last_used(client_id, recipients),
        holds.unreleased(),
    )


def _weighted(owned: Mapping[str, str | None]) -> dict[str, Mapping[str, float]]:
    by_pool = defaultdict[str, list[str]](list)
    for sender, pool in owned.items():
        if pool is not None:
            by_pool[pool].append(sender)
    settings = components().settings
    return {pool: pools.weights(members, settings) for pool, members in by_pool.items()}
