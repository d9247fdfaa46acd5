"""The contract with the worker: the names of its tasks, their queues, and how to wake one.

Nothing here knows what a task does, and `service` never imports `worker`.
"""

import logging
from collections.abc import Iterable
from typing import Any, Final
from uuid import UUID

from celery import Celery
from kombu.exceptions import KombuError
from redis import Redis
from redis.exceptions import RedisError

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

# A task that is not acknowledged for this long is given to another worker. Tasks end within
# seconds and carry no ETA, so that nothing honest ever meets it.
VISIBILITY_TIMEOUT: Final = 300

_log = logging.getLogger(__name__)


def celery_settings(settings: Settings) -> dict[str, Any]:
    """Return the part of Celery's configuration that both sides must agree on."""
    return {
        "broker_url": settings.redis_url.get_secret_value(),
        "task_routes": {name: {"queue": queue} for name, queue in ROUTES.items()},
        "task_ignore_result": True,
        "task_serializer": "json",
        "accept_content": ["json"],
        "broker_transport_options": {
            "visibility_timeout": VISIBILITY_TIMEOUT,
            "socket_timeout": 5.0,
            "socket_connect_timeout": 0.25,
            # Without these a dead broker holds every caller for the library's default retries.
            "max_retries": 0,
            "retry_on_timeout": False,
        },
    }


class Queue:
    """Puts tasks on their queues, by name."""

    def __init__(self, settings: Settings, redis: Redis) -> None:
        self._redis = redis
        self._celery = Celery("waybill", set_as_current=False)
        self._celery.conf.update(celery_settings(settings))

    def enqueue(self, task: str, *args: str) -> bool:
        """Wake a worker. Returns whether it was told; what it is for must not depend on it.

        Call this only after the commit: the row is the truth, and a sweep finds what was
        committed and never enqueued.
        """
        return self.enqueue_all(task, [args])

    def enqueue_all(self, task: str, calls: Iterable[tuple[str, ...]]) -> bool:
        """Wake a worker for every call, over one connection. Returns whether all were told."""
        try:
            with self._celery.producer_pool.acquire(block=True, timeout=1) as producer:
                for args in calls:
                    self._celery.send_task(task, args=args, producer=producer, retry=False)
        except (KombuError, RedisError, OSError) as error:
            _log.warning("not enqueued: %s (%s)", task, type(error).__name__)
            return False
        return True

    def depth(self, queue: str) -> int:
        """Return how many tasks wait on a queue; none where the broker does not answer."""
        try:
            return int(self._redis.llen(queue))
        except RedisError:
            return 0

    def deliver(self, message_ids: Iterable[UUID]) -> bool:
        """Wake a send worker for each of these messages."""
        return self.enqueue_all(DELIVER, [(str(message_id),) for message_id in message_ids])
