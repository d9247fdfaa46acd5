"""How much is measured, and what it is held against."""

from typing import Final, NamedTuple


class Plan(NamedTuple):
    """The length of everything. Seconds are of one round."""

    seconds: float = 20
    rounds: int = 3
    drained: int = 30_000
    sent: int = 3_000
    posting: float = 5

    @property
    def messages(self) -> int:
        """Return how many messages the callbacks of one round are about: more than enough."""
        return int(self.seconds * _FASTEST / 4)


_FASTEST: Final = 10_000  # callbacks a second; whoever is faster is told to stop early

USUAL: Final = Plan()
QUICK: Final = Plan(seconds=4, rounds=1, drained=8_000, sent=2_000, posting=3)

OVER_GUIDE: Final = 1.5
OVER_TASKS: Final = 8.0
DRAIN_POSTGRESQL: Final = 15_000
DRAIN_SQLITE: Final = 8_000
SENDS: Final = 400
BATCH: Final = 5_000
