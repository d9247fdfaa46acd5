"""The contract with the worker: the names of its tasks, their queues, and how to wake one.

Nothing here knows what a task does, and `service` never imports `worker`.
"""

import json
import logging
import time
from functools import partial
from typing import Any, Final

from celery import Celery
from celery.signals import before_task_publish
from redis import Redis
from redis.exceptions import RedisError

from service.config.settings import Settings
from service.coordination.circuit_breaker import FAILURES, CircuitBreaker, CircuitOpen
from service.redis_client.url import parse_redis_url
from service.task_queue import transport
from service.task_queue.wake_ups import WakeUps

SEND: Final = "send"
STATUS: Final = "status"
MAINTENANCE: Final = "maintenance"

DELIVER: Final = "waybill.deliver"
DRAIN: Final = "waybill.drain"
EXPIRE_CLAIMS: Final = "waybill.expire_claims"
EXPIRE_MESSAGES: Final = "waybill.expire_messages"
RECONCILE: Final = "waybill.reconcile"
ADOPT_ORPHANS: Final = "waybill.adopt_orphans"
DRAIN_OVERFLOW: Final = "waybill.drain_overflow"
REDACT: Final = "waybill.redact"
DELETE_OLD: Final = "waybill.delete_old"

ROUTES: Final = {
    DELIVER: SEND,
    DRAIN: STATUS,
    EXPIRE_CLAIMS: MAINTENANCE,
    EXPIRE_MESSAGES: MAINTENANCE,
    RECONCILE: MAINTENANCE,
    ADOPT_ORPHANS: MAINTENANCE,
    DRAIN_OVERFLOW: MAINTENANCE,
    REDACT: MAINTENANCE,
    DELETE_OLD: MAINTENANCE,
}

# The argument of a drain that helps another with a backlog; to a delivery it says nothing.
HELPING: Final = "helping"

# A task that is not acknowledged for this long is given to another worker. Tasks end within
# seconds and carry no ETA, so that nothing honest ever meets it.
VISIBILITY_TIMEOUT: Final = 300
# Whoever enqueues has the row in the database already and need not wait for a broker.
_HURRY: Final = 0.2
# The header of a task that says when it was enqueued, in seconds since 1970.
_ENQUEUED_AT: Final = "enqueued_at"

# A wake that was asked for and never came (its process died) blocks the next one this long.
_AWAKE_SECONDS: Final = 5
_HELP_MS: Final = 500

_log = logging.getLogger(__name__)


def celery_settings(settings: Settings, timeout: float) -> dict[str, Any]:
    """Return what both sides must agree on; `timeout` is in seconds."""
    transport.register()
    return {
        **parse_redis_url(settings.redis_url.get_secret_value()).celery_settings(),
        "task_routes": {name: {"queue": queue} for name, queue in ROUTES.items()},
        "task_ignore_result": True,
        "task_serializer": "json",
        "accept_content": ["json"],
        "broker_transport_options": {
            "visibility_timeout": VISIBILITY_TIMEOUT,
            "socket_timeout": timeout,
            "socket_connect_timeout": timeout,
            "socket_keepalive": True,
            # Seconds after which a silent connection is asked whether it still lives.
            "health_check_interval": 5,
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
    """Puts tasks on their queues, by name, and sees to it that they are not put there in vain.

    A task that works until nothing is left to do is woken once for many who ask. While it is at
    work, or has been asked for, a flag in Redis says so. No method raises for a broker that is
    away: the clock wakes every task again.
    """

    def __init__(self, settings: Settings, redis: Redis, breaker: CircuitBreaker) -> None:
        self._redis = redis
        self._breaker = breaker
        self._celery = Celery("waybill", set_as_current=False)
        self._celery.conf.update(celery_settings(settings, timeout=_HURRY))
        self._help_again_at = dict[str, float]()
        self._bells = {task: WakeUps(partial(self.wake, task)) for task in (DELIVER, DRAIN)}

    def ring(self, task: str) -> None:
        """Have a worker woken soon, off the caller's time; one wake serves many rings."""
        self._bells[task].ring()

    def wake(self, task: str) -> bool:
        """Wake a worker unless one is awake. Returns whether nobody need do it again.

        Call this only after the commit, and let nothing depend on it.
        """
        asked = self._flag(f"waybill:wake:{task}", nx=True, ex=_AWAKE_SECONDS)
        return self.enqueue(task) if asked else asked is False

    def keep_awake(self, task: str, seconds: int = _AWAKE_SECONDS) -> None:
        """Say that the task is at work, or need not be for a while: nobody is to wake another."""
        self._flag(f"waybill:wake:{task}", ex=seconds)

    def sleep(self, task: str) -> None:
        """Say that the task is about to end: who asks from now on must wake another."""
        try:
            with self._breaker.guard():
                self._redis.delete(f"waybill:wake:{task}")
        except (RedisError, CircuitOpen) as error:
            _log.warning("%s does not sleep (%s)", task, type(error).__name__)

    def call_help(self, task: str) -> None:
        """Wake one more worker for a backlog; a few times a second somebody may."""
        now = time.monotonic()
        if now < self._help_again_at.get(task, now):
            return  # this process asked a moment ago
        self._help_again_at[task] = now + _HELP_MS / 1000
        if self._flag(f"waybill:help:{task}", nx=True, px=_HELP_MS):
            self.enqueue(task, HELPING)

    def enqueue(self, task: str, *args: str) -> bool:
        """Put a task on its queue. Returns whether the broker has it."""
        try:
            with (
                self._breaker.guard(),
                self._celery.producer_pool.acquire(block=True, timeout=1) as producer,
            ):
                self._celery.send_task(task, args=args, producer=producer, retry=False)
        except (*FAILURES, CircuitOpen) as error:
            _log.warning("not enqueued: %s (%s)", task, type(error).__name__)
            return False
        return True

    def _flag(self, name: str, **options: Any) -> bool | None:
        """Set a flag. Returns False when it stood already, None when nobody could tell."""
        try:
            with self._breaker.guard():
                return bool(self._redis.set(name, 1, **options))
        except (RedisError, CircuitOpen) as error:
            _log.warning("%s was not set (%s)", name, type(error).__name__)
            return None

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
