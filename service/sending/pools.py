"""Choose the sender of a message from a pool of senders.

A recipient keeps the sender of the client's last message. For others, weighted rendezvous hashing
of the recipient orders the senders: of each the hash gives a number, and the weight divides it.
There is no counter that replicas share, and two first messages at once get the same sender. A
sender that is added takes its share of the recipients, and no other recipient changes its sender.
https://en.wikipedia.org/wiki/Rendezvous_hashing#Weighted_rendezvous_hash
"""

import re
from collections.abc import Collection, Iterator, Mapping
from hashlib import blake2b
from math import log
from typing import Final

from service.config.settings import Settings

# `from: "pool:campaigns"` names the pool `campaigns`.
PREFIX: Final = "pool:"
_NAME: Final = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")
_ANY_SENDER: Final = "*"
# More bits of the hash would make a number that rounds to 1.
_BITS: Final = 52


def pool_name(text: str) -> str:
    """Return the name of a pool in lower case. Raises ValueError."""
    name = text.strip().lower()
    if not _NAME.fullmatch(name):
        raise ValueError(
            "must be the name of a pool: 1 to 64 letters a to z, digits, _ and -, "
            "and a letter or a digit first"
        )
    return name


def is_pool(sender: str) -> bool:
    """Return whether this names a pool and not a sender."""
    return sender.strip()[: len(PREFIX)].lower() == PREFIX


def ranked(weights: Mapping[str, float], to: str, last_used: str | None) -> Iterator[str]:
    """Yield the senders of a pool for a recipient, the first choice first.

    Without a last sender, each sender is the first choice for a share of all recipients that equals
    its share of the weights.
    """
    if last_used is not None and last_used in weights:
        yield last_used
    others = [sender for sender in weights if sender != last_used]
    # Each number is exponentially distributed, with the weight as its rate.
    yield from sorted(others, key=lambda sender: -log(_hash(sender, to)) / weights[sender])


def weights(senders: Collection[str], settings: Settings) -> dict[str, float]:
    """Return the weight of each sender: its rate in segments per second (SENDER_RATES).

    A sender without a rate has no limit, and counts as the fastest of the others.
    """
    rates = _rates(settings)
    rated = {sender: rates.get(sender, rates.get(_ANY_SENDER)) for sender in senders}
    fastest = max((rate for rate in rated.values() if rate is not None), default=1.0)
    return {sender: rate or fastest for sender, rate in rated.items()}


def _rates(settings: Settings) -> dict[str, float]:
    """Return the rates of the settings by sender; an account's own rate takes precedence."""
    rates = {rule.sender: rule.rate for rule in settings.sender_rates}
    for accounts in settings.accounts.values():
        for account in accounts.values():
            for sender in account.senders:
                rate = account.sender_rates.get(sender, account.sender_rates.get(_ANY_SENDER))
                if rate is not None:
                    rates[sender] = rate
    return rates


def _hash(sender: str, to: str) -> float:
    """Return a number between 0 and 1, both excluded, that depends on nothing else."""
    digest = blake2b(f"{sender}\n{to}".encode(), digest_size=8).digest()
    return ((int.from_bytes(digest) >> (64 - _BITS)) + 0.5) / float(1 << _BITS)
