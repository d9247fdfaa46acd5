"""What may go wrong, how often, and whether it goes wrong this time."""

from collections import deque
from collections.abc import Mapping
from typing import Final

from simulator.dice import roll

#: Faults on create that leave no message behind.
UNPROCESSED: Final = ("429", "500-unprocessed", "503", "cut-before")
#: Faults on create that take the message and then answer badly, late, or not at all.
PROCESSED: Final = ("500", "timeout", "cut", "early", "slow")
ON_CREATE: Final = UNPROCESSED + PROCESSED
ON_CALLBACK: Final = ("drop", "duplicate", "reorder", "delay")
ALL: Final = ON_CREATE + ON_CALLBACK

NONE: Final[frozenset[str]] = frozenset()


class Faults:
    """The rates of all faults, and those ordered for the next creates."""

    def __init__(self, seed: int, rates: Mapping[str, float]) -> None:
        self._seed = seed
        self._rates: dict[str, float] = {}
        self._armed: deque[str] = deque()
        self.set(rates)

    @property
    def rates(self) -> Mapping[str, float]:
        """Return the rate of every fault."""
        return {name: self._rates.get(name, 0.0) for name in ALL}

    def set(self, rates: Mapping[str, float]) -> None:
        """Change the named rates and leave the others. Raises ValueError, changing nothing."""
        for name, rate in rates.items():
            if name not in ALL:
                raise ValueError(f"no such fault: {name}")
            if not 0 <= rate <= 1:
                raise ValueError(f"the rate of {name} must be between 0 and 1")
        self._rates.update(rates)

    def arm(self, fault: str, count: int) -> None:
        """Let the next creates go wrong in this way. Raises ValueError."""
        if fault not in ON_CREATE:
            raise ValueError(f"no such fault on create: {fault}")
        if not 1 <= count <= 10_000:
            raise ValueError("count must be between 1 and 10000")
        self._armed.extend([fault] * count)

    def on_create(self, number: int) -> str | None:
        """Return the fault that meets this create; of several, the first in the list."""
        if self._armed:
            return self._armed.popleft()
        return next((name for name in ON_CREATE if self._strikes(name, number)), None)

    def on_callback(self, number: int, index: int) -> frozenset[str]:
        """Return all faults that meet this callback of this message."""
        return frozenset(name for name in ON_CALLBACK if self._strikes(name, number, index))

    def _strikes(self, name: str, *key: int) -> bool:
        rate = self._rates.get(name, 0.0)
        return rate > 0 and roll(self._seed, name, *key) < rate
