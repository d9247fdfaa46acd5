"""Reads Celery's queues in Redis."""

import json
import time
from typing import Final

from redis import Redis

# The header of a task with the time at which it was enqueued, in seconds since 1970.
ENQUEUED_AT: Final = "enqueued_at"


class RedisQueues:
    """Reads the queues of a Redis or Valkey."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis

    def waiting(self, queue: str) -> tuple[int, float | None]:
        """Return how many tasks wait, and for how many seconds the oldest has.

        Raises RedisError.
        """
        pipe = self._redis.pipeline(transaction=False)
        pipe.llen(queue)
        pipe.lindex(queue, -1)  # tasks are pushed on the left
        depth, oldest = pipe.execute()
        return int(depth), _age(oldest)


def _age(task: bytes | None) -> float:
    """Return for how many seconds a task has waited."""
    if task is None:
        return 0.0
    try:
        enqueued_at = float(json.loads(task)["headers"][ENQUEUED_AT])
    except (ValueError, KeyError, TypeError):
        return 0.0  # a task without the header
    return max(0.0, time.time() - enqueued_at)
