"""Recipients who write back, at a constant rate, while processes are disturbed."""

import random
import threading
import time
from typing import Final

from demo import persons
from demo.stack import SENDER, Stack
from tests.chaos.plan import Plan
from tests.chaos.traffic import provider, recipient, service

_TEXTS: Final = ("STOP", "STOP", "START", "Thank you!")


def text(seed: int, person: int, turn: int) -> str:
    """Return what a person writes in a turn."""
    return random.Random(f"{seed} {person} {turn}").choice(_TEXTS)


class Persons:
    """Writes in the background: each person once in a turn."""

    def __init__(self, stack: Stack, plan: Plan) -> None:
        self._stack, self._plan = stack, plan
        self._thread = threading.Thread(target=self._write_all)

    def start(self) -> None:
        """Start writing."""
        self._thread.start()

    def wait(self) -> None:
        """Wait until everything is written."""
        self._thread.join()

    def _write_all(self) -> None:
        plan, start = self._plan, time.monotonic()
        for turn in range(plan.turns):
            for person in range(plan.persons):
                due = start + (turn + person / plan.persons) * plan.turn_seconds
                time.sleep(max(0.0, due - time.monotonic()))
                self._write(person, text(plan.seed, person, turn))

    def _write(self, person: int, words: str) -> None:
        persons.write(
            self._stack,
            provider(person),
            recipient(person),
            SENDER,
            words,
            service=service(person),
        )
