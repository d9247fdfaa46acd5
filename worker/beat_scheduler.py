"""Celery's scheduler, which also records that beat's main loop runs."""

from typing import Any

from celery.beat import Scheduler

from worker.liveness import LIVENESS


class BeatScheduler(Scheduler):
    """Celery's scheduler; each tick records that beat is alive."""

    def tick(self, *args: Any, **kwargs: Any) -> Any:
        """Run the entries that are due; return the seconds until the next tick."""
        LIVENESS.tick()
        return super().tick(*args, **kwargs)
