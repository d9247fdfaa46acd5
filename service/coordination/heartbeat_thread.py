"""A thread that sends this process's heartbeat every few seconds."""

import os
import socket
import threading
from collections.abc import Callable, Sequence
from typing import Final

from service.coordination.heartbeats import INTERVAL, Heartbeats

WEB: Final = "web"
WORKER: Final = "worker"
BEAT: Final = "beat"
# Seconds until the next check of a process that is not healthy, or not yet.
_RECHECK_INTERVAL: Final = 1.0


class HeartbeatThread(threading.Thread):
    """Sends heartbeats while `is_healthy()`, which must be quick, returns true."""

    def __init__(
        self,
        heartbeats: Heartbeats,
        kind: str,
        name: str,
        queues: Sequence[str] = (),
        is_healthy: Callable[[], bool] = lambda: True,
    ) -> None:
        super().__init__(name="heartbeat", daemon=True)
        self._heartbeats = heartbeats
        self._process = (kind, name)
        self._queues = queues
        self._is_healthy = is_healthy
        self._stopping = threading.Event()

    def run(self) -> None:
        """Send heartbeats until stop() is called."""
        while not self._stopping.is_set():
            healthy = self._is_healthy()
            if healthy:
                self._heartbeats.send(*self._process, self._queues)
            self._stopping.wait(INTERVAL if healthy else _RECHECK_INTERVAL)

    def stop(self) -> None:
        """End the thread and remove the heartbeat, so that the process is gone immediately."""
        self._stopping.set()
        self.join(INTERVAL)
        self._heartbeats.remove(*self._process)


def process_name(kind: str) -> str:
    """Return a name that is unique among running processes."""
    return f"{kind}@{socket.gethostname()}-{os.getpid()}"


def start_in_web_process(heartbeats: Heartbeats) -> None:
    """Send heartbeats of this web process, and of each process that a server forks from it.

    The parent of a server that loads the application before it forks (gunicorn --preload) is shown
    as one more web process.
    """

    def start() -> None:
        HeartbeatThread(heartbeats, WEB, process_name(WEB)).start()

    os.register_at_fork(after_in_child=start)
    start()
