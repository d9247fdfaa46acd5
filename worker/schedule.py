"""The beat schedule. Every task may run twice at the same time without harm."""

from typing import Any, Final

from service.task_queue import queue

_SECONDS: Final = {
    # Seconds. Callbacks and posts request the first themselves; beat finds what a dead process
    # left, and messages that are due now.
    queue.CONSUME_INBOX: 5,
    queue.DELIVER: 1,
    queue.NOTIFY: 1,
    queue.EXPIRE_CLAIMS: 10,
    queue.EXPIRE_MESSAGES: 5,
    queue.RECONCILE: 1,  # RECONCILE_BUDGET is per second
    queue.FIND_INBOUND: 10,  # each list is read every INBOUND_LIST_EVERY seconds
    queue.ADOPT_ORPHANS: 10,
    queue.DRAIN_OVERFLOW: 5,
    queue.REDACT: 10,
    queue.DELETE_OLD: 10,
    # A change waits for a lock for half a second, and what is recorded waits behind it.
    queue.PARTITION_LEDGER: 60,
}

SCHEDULE: Final[dict[str, dict[str, Any]]] = {
    task: {
        "task": task,
        "schedule": seconds,
        # A task that waited for a minute is dropped: beat has enqueued newer ones.
        "options": {"expires": 60},
    }
    for task, seconds in _SECONDS.items()
}
