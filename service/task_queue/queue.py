"""The contract with the Celery worker: task names, their queues, and how to request a task.

Nothing here knows what a task does, and `service` never imports `worker`.
"""

import json
import logging
import time
from collections.abc import Callable
from functools import partial
from threading import BoundedSemaphore, Event
from typing import Any, Final

from celery import Celery
from celery.signals import before_task_publish
from redis import Redis
from redis.exceptions import RedisError

from service.config.settings import Settings
from service.coordination.circuit_breaker import FAILURES, CircuitBreaker, CircuitOpen
from service.task_queue.celery_settings import celery_settings
from service.task_queue.wake_ups import INTERVAL, WakeUps

SEND: Final = "send"
STATUS: Final = "status"
MAINTENANCE: Final = "maintenance"
WEBHOOKS: Final = "webhooks"

DELIVER: Final = "waybill.deliver"
CONSUME_INBOX: Final = "waybill.consume_inbox"
NOTIFY: Final = "waybill.notify"
EXPIRE_CLAIMS: Final = "waybill.expire_claims"
EXPIRE_MESSAGES: Final = "waybill.expire_messages"
RECONCILE: Final = "waybill.reconcile"
FIND_INBOUND: Final = "waybill.find_inbound"
ADOPT_ORPHANS: Final = "waybill.adopt_orphans"
DRAIN_OVERFLOW: Final = "waybill.drain_overflow"
REDACT: Final = "waybill.redact"
DELETE_OLD: Final = "waybill.delete_old"
PARTITION_LEDGER: Final = "waybill.partition_ledger"

ROUTES: Final = {
    DELIVER: SEND,
    CONSUME_INBOX: STATUS,
    NOTIFY: WEBHOOKS,
    EXPIRE_CLAIMS: MAINTENANCE,
    EXPIRE_MESSAGES: MAINTENANCE,
    RECONCILE: MAINTENANCE,
    FIND_INBOUND: MAINTENANCE,
    ADOPT_ORPHANS: MAINTENANCE,
    DRAIN_OVERFLOW: MAINTENANCE,
    REDACT: MAINTENANCE,
    DELETE_OLD: MAINTENANCE,
    PARTITION_LEDGER: MAINTENANCE,
}

# The row is committed before its task is enqueued, so that a caller need not wait for the broker.
_ENQUEUE_TIMEOUT: Final = 0.2
# Threads of one process that run a task at a time. While the database works for one consumer, two
# others read. Seven deliveries that claimed side by side, a few messages each, spent half of the
# processor's time on claims.
_THREADS: Final = {DELIVER: 1, CONSUME_INBOX: 3, NOTIFY: 1}
# Seconds for which one run of a task works before the next is requested: a shutdown waits for it.
_RUN_SECONDS: Final = 3.0
# The header of a task with the time at which it was enqueued, in seconds since 1970.
_ENQUEUED_AT: Final = "enqueued_at"

_log = logging.getLogger(__name__)


def _stamp(headers: dict[str, Any], **_: Any) -> None:
    """Add the time to each task, also to those of beat: Celery does not."""
    headers[_ENQUEUED_AT] = time.time()


before_task_publish.connect(_stamp)


def _age(task: bytes | None) -> float:
    """Return for how many seconds a task has waited."""
    if task is None:
        return 0.0
    try:
        enqueued_at = float(json.loads(task)["headers"][_ENQUEUED_AT])
    except (ValueError, KeyError, TypeError):
        return 0.0  # a task without the header
    return max(0.0, time.time() - enqueued_at)


class RunOnce:
    """Repeats a step until it finds nothing to do, in `threads` threads of the process at most.

    A call while all are running returns immediately, and makes a run repeat its step: it finds
    whatever was committed before the call.
    """

    def __init__(self, threads: int = 1) -> None:
        self._requested = Event()
        self._running = BoundedSemaphore(threads)

    def run(self, step: Callable[[], bool], seconds: float) -> bool:
        """Call `step` while it returns True; return whether time ran out before."""
        until = time.monotonic() + seconds
        self._requested.set()
        while self._requested.is_set() and self._running.acquire(blocking=False):
            try:
                self._requested.clear()
                while step():
                    if time.monotonic() >= until:
                        return True
            finally:
                self._running.release()
            if time.monotonic() >= until:
                return self._requested.is_set()
        return False


class TaskQueue:
    """Enqueues tasks by name, and runs those that work until nothing is left.

    No method but `waiting` raises while the broker is down: beat enqueues every task again.
    """

    def __init__(self, settings: Settings, redis: Redis, breaker: CircuitBreaker) -> None:
        self._redis = redis
        self._breaker = breaker
        self._celery = Celery("waybill", set_as_current=False)
        self._celery.conf.update(celery_settings(settings, ROUTES, timeout=_ENQUEUE_TIMEOUT))
        self._runs = {task: RunOnce(threads) for task, threads in _THREADS.items()}
        self._wake_ups = {task: WakeUps(partial(self._wake, task)) for task in self._runs}

    def request(self, task: str) -> None:
        """Request a run of the task that begins after this call. Call it after the commit."""
        self._wake_ups[task].request()

    def run_once(self, task: str, step: Callable[[], bool]) -> None:
        """Call `step` until it returns False, unless all threads of the task are running."""
        if self._runs[task].run(step, _RUN_SECONDS):
            self.request(task)

    def enqueue(self, task: str) -> bool:
        """Enqueue a task. Return whether the broker has it."""
        try:
            with (
                self._breaker,
                self._celery.producer_pool.acquire(block=True, timeout=1) as producer,
            ):
                self._celery.send_task(task, producer=producer, retry=False)
        except CircuitOpen:
            return False  # the failure that opened it is in the log
        except FAILURES as error:
            _log_failure(task, error)
            return False
        return True

    def waiting(self, queue: str) -> tuple[int, float]:
        """Return how many tasks wait on a queue, and for how many seconds the oldest has.

        Raises RedisError or CircuitOpen while the broker is down.
        """
        with self._breaker:
            pipe = self._redis.pipeline(transaction=False)
            pipe.llen(queue)
            pipe.lindex(queue, -1)  # tasks are pushed on the left
            depth, oldest = pipe.execute()
        return int(depth), _age(oldest)

    def _wake(self, task: str) -> bool:
        """Enqueue a task unless a process did so within INTERVAL. Return whether it was tried.

        All processes together enqueue it 20 times a second at most. While there is a backlog each
        of these tasks can begin in another process.
        """
        name, interval = f"waybill:requested:{task}", int(INTERVAL * 1000)
        try:
            with self._breaker:
                if not self._redis.set(name, 1, nx=True, px=interval):
                    return False
        except CircuitOpen:
            return True
        except RedisError as error:
            _log_failure(task, error)
            return True
        self.enqueue(task)
        return True


def _log_failure(task: str, error: Exception) -> None:
    reason = type(error).__name__
    _log.warning("could not enqueue %s (%s): beat will enqueue it", task, reason)
