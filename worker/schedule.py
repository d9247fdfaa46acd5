"""The clock: which sweep runs how often. Every sweep may run twice at once without harm."""

from typing import Any, Final

from service.task_queue import queue

_SECONDS: Final = {
    # Callbacks and posts wake their own; these find what a dead process left behind, and the
    # messages whose time has come.
    queue.DRAIN: 5,
    queue.DELIVER: 1,
    queue.EXPIRE_CLAIMS: 10,
    queue.EXPIRE_MESSAGES: 5,
    queue.RECONCILE: 1,  # the budget of a second
    queue.ADOPT_ORPHANS: 10,
    queue.DRAIN_OVERFLOW: 5,
    queue.REDACT: 10,
    queue.DELETE_OLD: 10,
}

# The clock's drain starts no chain of its own beside the one that is awake.
_ARGUMENTS: Final = {queue.DRAIN: (queue.HELPING,)}

SCHEDULE: Final[dict[str, dict[str, Any]]] = {
    task: {
        "task": task,
        "args": _ARGUMENTS.get(task, ()),
        "schedule": seconds,
        # A tick that nobody took is not worth catching up with.
        "options": {"expires": 60},
    }
    for task, seconds in _SECONDS.items()
}
