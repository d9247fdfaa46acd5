"""The work under way, and whether any is left."""

import asyncio
from collections.abc import Coroutine
from typing import Any


class Tasks:
    """Keeps running tasks alive, for asyncio itself holds them only weakly."""

    def __init__(self) -> None:
        self._working: set[asyncio.Task[Any]] = set()
        self._waiting: set[asyncio.Task[Any]] = set()

    @property
    def in_flight(self) -> int:
        """Return how many are at work; those that merely wait for a date do not count."""
        return len(self._working)

    def work(self, coroutine: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Start something that keeps the simulator busy until it ends."""
        return self._start(coroutine, self._working)

    def wait(self, coroutine: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Start something that may wait for days."""
        return self._start(coroutine, self._waiting)

    async def close(self) -> None:
        """Cancel whatever is left."""
        left = [*self._working, *self._waiting]
        for task in left:
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)

    @staticmethod
    def _start(
        coroutine: Coroutine[Any, Any, None], group: set[asyncio.Task[Any]]
    ) -> asyncio.Task[None]:
        task = asyncio.get_running_loop().create_task(coroutine)
        group.add(task)
        task.add_done_callback(group.discard)
        return task
