"""How long a carrier waits for the answer to a callback, and what it tries again."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Patience:
    """Seconds, all of them."""

    connect: float
    read: float
    total: float  # for all tries together
    pauses: tuple[float, ...]  # before each retry
    policy: frozenset[str]  # the failures that are tried again
    verify: bool = True  # the certificate
