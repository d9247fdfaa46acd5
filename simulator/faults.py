"""The faults: their rates, and whether one occurs."""

from collections import deque
from collections.abc import Mapping
from typing import Final

from simulator.seeded_random import draw

#: Faults on create that create no message.
UNPROCESSED: Final = ("429", "500-unprocessed", "503", "cut-before", "timeout-unprocessed")
#: Those of them that do not answer at all.
CREATE_WITHOUT_ANSWER: Final = ("cut-before", "timeout-unprocessed")
#: Faults on create that create the message, and then answer with an error, late, or not at all.
PROCESSED: Final = ("500", "timeout", "cut", "early", "slow")
ON_CREATE: Final = UNPROCESSED + PROCESSED
#: `lost-try`: the first try does not reach the server, and the provider retries.
ON_CALLBACK: Final = ("drop", "duplicate", "reorder", "delay", "lost-try")
ALL: Final = ON_CREATE + ON_CALLBACK

NONE: Final[frozenset[str]] = frozenset()


class Faults:
    """The rates of all faults, and the faults injected into the next create requests."""

    def __init__(self, seed: int, rates: Mapping[str, float]) -> None:
        self._seed = seed
        self._rates: dict[str, float] = {}
        self._injected: deque[str] = deque()
        self.set(rates)

    @property
    def rates(self) -> Mapping[str, float]:
        """Return the rate of every fault."""
        return {name: self._rates.get(name, 0.0) for name in ALL}

    def set(self, rates: Mapping[str, float]) -> None:
        """Change these rates. Raises ValueError, and changes nothing, if one is invalid."""
        for name, rate in rates.items():
            if name not in ALL:
                raise ValueError(f"unknown fault: {name}")
            if not 0 <= rate <= 1:
                raise ValueError(f"the rate of {name} must be between 0 and 1")
        self._rates.update(rates)

    def inject(self, fault: str, count: int) -> None:
        """Inject a fault into the next create requests. Raises ValueError."""
        if fault not in ON_CREATE:
            raise ValueError(f"not a fault of create requests: {fault}")
        if not 1 <= count <= 10_000:
            raise ValueError("count must be between 1 and 10000")
        self._injected.extend([fault] * count)

    def on_create(self, number: int) -> str | None:
        """Return the fault of this create request; of several, the first in the list."""
        if self._injected:
            return self._injected.popleft()
        return next((name for name in ON_CREATE if self._occurs(name, number)), None)

    def on_callback(self, number: int, index: int) -> frozenset[str]:
        """Return all faults of this callback."""
        return frozenset(name for name in ON_CALLBACK if self._occurs(name, number, index))

    def on_inbound(self, number: int) -> frozenset[str]:
        """Return all faults of the request that brings this inbound message."""
        return frozenset(name for name in ON_CALLBACK if self._occurs(name, "inbound", number))

    def _occurs(self, name: str, *key: object) -> bool:
        rate = self._rates.get(name, 0.0)
        return rate > 0 and draw(self._seed, name, *key) < rate
