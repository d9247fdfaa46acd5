"""The contract with the worker: the names of its tasks, their queues, and how to wake one.

Nothing here knows what a task does, and `service` never imports `worker`.
"""

import json
import logging
import time
from collections.abc import Iterable
from typing import Any, Final
from uuid import UUID

from celery import Celery
from celery.signals import before_task_publish
from redis import Redis
from redis.exceptions import RedisError

from service.breaker import FAILURES, Breaker, Resting
from service.config import Settings

SEND: Final = "send"
STATUS: Final = "status"
MAINTENANCE: Final = "maintenance"

DELIVER: Final = "waybill.deliver"
DRAIN: Final = "waybill.drain"
ENQUEUE_DUE: Final = "waybill.enqueue_due"
EXPIRE_CLAIMS: Final = "waybill.expire_claims"
RECONCILE: Final = "waybill.reconcile"
ADOPT_ORPHANS: Final = "waybill.adopt_orphans"
DRAIN_OVERFLOW: Final = "waybill.drain_overflow"

ROUTES: Final = {
    DELIVER: SEND,
    DRAIN: STATUS,
    ENQUEUE_DUE: MAINTENANCE,
    EXPIRE_CLAIMS: MAINTENANCE,
    RECONCILE: MAINTENANCE,
    ADOPT_ORPHANS: MAINTENANCE,
    DRAIN_OVERFLOW: MAINTENANCE,
}

# The argument of a drain that helps another with a backlog.
HELPING: Final = "helping"

# A task that is not acknowledged for this long is given to another worker. Tasks end within
# seconds and carry no ETA, so that nothing honest ever meets it.
VISIBILITY_TIMEOUT: Final = 300
# Whoever enqueues has the row in the database already and need not wait for a broker.
_HURRY: Final = 0.2
# The header of a task that says when it was enqueued, in seconds since 1970.
_ENQUEUED_AT: Final = "enqueued_at"

_log = logging.getLogger(__name__)


def celery_settings(settings: Settings, patience: float) -> dict[str, Any]:
    """Return what both sides must agree on; `patience` is how long to wait for an answer, in s."""
    return {
        "broker_url": settings.redis_url.get_secret_value(),
        "task_routes": {name: {"queue": queue} for name, queue in ROUTES.items()},
        "task_ignore_result": True,
        "task_serializer": "json",
        "accept_content": ["json"],
        "broker_transport_options": {
            "visibility_timeout": VISIBILITY_TIMEOUT,
            "socket_timeout": patience,
            "socket_connect_timeout": patience,
            # Without these a dead broker holds every caller for the library's default retries.
            "max_retries": 0,
            "retry_on_timeout": False,
        },
    }


def _stamp(headers: dict[str, Any], **_: Any) -> None:
    """Write onto every task, of beat too, when it was enqueued: the library does not."""
    headers[_ENQUEUED_AT] = time.time()


before_task_publish.connect(_stamp)


def _age(task: bytes | None) -> float:
    """Return for how many seconds a task has waited, by what was written onto it."""
    if task is None:
        return 0.0
    try:
        enqueued_at = float(json.loads(task)["headers"][_ENQUEUED_AT])
    except (ValueError, KeyError, TypeError):
        return 0.0  # another version's, or no task at all: it does not hide the others
    return max(0.0, time.time() - enqueued_at)


class Queue:
    """Puts tasks on their queues, by name."""

    def __init__(self, settings: Settings, redis: Redis, breaker: Breaker) -> None:
        self._redis = redis
        self._breaker = breaker
        self._celery = Celery("waybill", set_as_current=False)
        self._celery.conf.update(celery_settings(settings, patience=_HURRY))

    def enqueue(self, task: str, *args: str) -> bool:
        """Wake a worker. Returns whether it was told; what it is for must not depend on it.

        Call this only after the commit: the row is the truth, and a sweep finds what was
        committed and never enqueued.
        """
        return self.enqueue_all(task, [args])

    def enqueue_all(self, task: str, calls: Iterable[tuple[str, ...]]) -> bool:
        """Wake a worker for every call, over one connection. Returns whether all were told."""
        try:
            with (
                self._breaker.guard(),
                self._celery.producer_pool.acquire(block=True, timeout=1) as producer,
            ):
                for args in calls:
                    self._celery.send_task(task, args=args, producer=producer, retry=False)
        except (*FAILURES, Resting) as error:
            _log.warning("not enqueued: %s (%s)", task, type(error).__name__)
            return False
        return True

    def depth(self, queue: str) -> int:
        """Return how many tasks wait on a queue; none where the broker does not answer."""
        try:
            with self._breaker.guard():
                return int(self._redis.llen(queue))
        except (RedisError, Resting):
            return 0

    def waiting(self, queue: str) -> tuple[int, float]:
        """Return how many tasks wait on a queue, and for how many seconds the oldest has.

        Raises RedisError or Resting where the broker does not answer.
        """
        with self._breaker.guard():
            pipe = self._redis.pipeline(transaction=False)
            pipe.llen(queue)
            pipe.lindex(queue, -1)  # tasks come in on the left
            depth, oldest = pipe.execute()
        return int(depth), _age(oldest)

    def deliver(self, message_ids: Iterable[UUID]) -> bool:
        """Wake a send worker for each of these messages."""
        return self.enqueue_all(DELIVER, [(str(message_id),) for message_id in message_ids])
