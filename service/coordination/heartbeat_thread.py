"""Lets a process say every few seconds that it is alive, in a thread that ends with it."""

import multiprocessing
import os
import socket
import threading
from collections.abc import Callable, Sequence
from typing import Any, Final

from flask import Flask

from service.coordination.heartbeats import EVERY, Heartbeats

WEB: Final = "web"
WORKER: Final = "worker"
BEAT: Final = "beat"
# When to look again at a process that is not well, or not yet.
_SOON: Final = 1.0


class HeartbeatThread(threading.Thread):
    """Announces one process as long as `well` says so, which must not take long."""

    def __init__(
        self,
        presence: Heartbeats,
        kind: str,
        name: str,
        queues: Sequence[str] = (),
        well: Callable[[], bool] = lambda: True,
    ) -> None:
        super().__init__(name="announcer", daemon=True)
        self._presence = presence
        self._who = (kind, name)
        self._queues = queues
        self._well = well
        self._ending = threading.Event()

    def run(self) -> None:
        """Announce, again and again."""
        while not self._ending.is_set():
            well = self._well()
            if well:
                self._presence.announce(*self._who, self._queues)
            self._ending.wait(EVERY if well else _SOON)

    def leave(self) -> None:
        """End, and take the announcement back: who stops in good order is gone at once."""
        self._ending.set()
        self.join(EVERY)
        self._presence.leave(*self._who)


def process_name(kind: str) -> str:
    """Return a name that no other process has."""
    return f"{kind}@{socket.gethostname()}-{os.getpid()}"


def when_serving(app: Flask, heartbeats: Heartbeats) -> None:
    """Announce this process as a web server: now if a server started it, else at its first request.

    What merely imports the application, such as a command, serves nobody.
    """
    announcer = HeartbeatThread(heartbeats, WEB, process_name(WEB))
    if multiprocessing.parent_process() is not None:
        announcer.start()
        return
    inner, once = app.wsgi_app, threading.Lock()

    def start_at_first(environ: Any, start: Any) -> Any:
        if once.acquire(blocking=False):  # nobody releases it
            announcer.start()
        return inner(environ, start)

    # It stays: what was wrapped round it meanwhile must not be taken away.
    app.wsgi_app = start_at_first  # type: ignore[assignment, method-assign]
