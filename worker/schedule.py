"""The clock: which sweep runs how often. Every sweep may run twice at once without harm."""

from typing import Any, Final

from service import queue

_SECONDS: Final = {
    # Callbacks wake their own drain; this one finds what a dead process left behind.
    queue.DRAIN: 5,
    queue.ENQUEUE_DUE: 1,
    queue.EXPIRE_CLAIMS: 10,
    queue.RECONCILE: 1,  # the budget of a second
    queue.ADOPT_ORPHANS: 10,
    queue.DRAIN_OVERFLOW: 5,
}

# The clock's drain starts no chain of its own beside the one that callbacks wake.
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
