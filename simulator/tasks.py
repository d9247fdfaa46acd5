"""Tracks background tasks: the simulator is idle when none is running."""

import asyncio
from collections.abc import Coroutine
from typing import Any


class Tasks:
    """Keeps references to running tasks; asyncio itself keeps only weak references."""

    def __init__(self) -> None:
        self._working: set[asyncio.Task[Any]] = set()
        self._waiting: set[asyncio.Task[Any]] = set()

    @property
    def in_flight(self) -> int:
        """Return the number of running tasks, without tasks that wait for a date."""
        return len(self._working)

    def work(self, coroutine: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Start a task; the simulator is not idle until it ends."""
        return self._start(coroutine, self._working)

    def wait(self, coroutine: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Start a task that may wait for days and does not keep the simulator busy."""
        return self._start(coroutine, self._waiting)

    async def close(self) -> None:
        """Cancel all tasks."""
        tasks = [*self._working, *self._waiting]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    @staticmethod
    def _start(
        coroutine: Coroutine[Any, Any, None], group: set[asyncio.Task[Any]]
    ) -> asyncio.Task[None]:
        task = asyncio.get_running_loop().create_task(coroutine)
        group.add(task)
        task.add_done_callback(group.discard)
        return task
