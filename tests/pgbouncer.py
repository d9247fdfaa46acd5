"""Runs PgBouncer in transaction mode in front of a PostgreSQL server."""

import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import psycopg
import pytest

from demo.servers import free_port

_INI = """
[databases]
* = host={host} port={server_port} user={user}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir =
auth_type = any
pool_mode = transaction
; Fewer connections than the clients have, used round-robin: successive transactions use different
; server connections.
default_pool_size = 2
server_round_robin = 1
logfile = {home}/log
"""

_NOBODY = 65534


def binary() -> str:
    """Return the path of PgBouncer, or skip the test."""
    path = shutil.which("pgbouncer", path=os.environ["PATH"] + ":/usr/sbin:/sbin")
    if path is None:
        pytest.skip(
            "PgBouncer is not installed: run tests/install-tools or apt-get install pgbouncer"
        )
    return path


class PgBouncer:
    """A PgBouncer that can be pointed to another server.

    The URLs of servers name a socket (`?host=`) or a host and a port.
    """

    def __init__(self, postgres_url: str, database: str) -> None:
        self._home = Path(tempfile.mkdtemp(prefix="waybill-pgbouncer-"))
        self._ini = self._home / "pgbouncer.ini"
        self._port = free_port()
        user, host = self._write(postgres_url)
        owner = _owner(Path(host)) if os.getuid() == 0 else None
        if owner is not None:
            for path in (self._home, self._ini):
                os.chown(path, owner, -1)
        command = [binary(), "-q", str(self._ini)]
        self._process = subprocess.Popen(command, user=owner, stderr=subprocess.DEVNULL)
        self.url = f"postgresql://{user}@127.0.0.1:{self._port}/{database}"

    def await_ready(self) -> None:
        """Wait until it takes connections."""
        _await(self.url, self._home / "log")

    def point_to(self, postgres_url: str) -> None:
        """Use another server, as an operator or a template does: change the file and reload it."""
        self._write(postgres_url)
        self._process.send_signal(signal.SIGHUP)

    def stop(self) -> None:
        """End the process and delete its files."""
        self._process.terminate()
        self._process.wait(10)
        shutil.rmtree(self._home)

    def _write(self, postgres_url: str) -> tuple[str, str]:
        server = urlsplit(postgres_url)
        [host] = parse_qs(server.query).get("host", [server.hostname or "127.0.0.1"])
        user = server.username or "postgres"
        values = {"host": host, "server_port": server.port or 5432, "user": user}
        self._ini.write_text(_INI.format(port=self._port, home=self._home, **values))
        return user, host


@contextmanager
def pgbouncer(postgres_url: str, database: str) -> Iterator[str]:
    """Run PgBouncer; yield the URL of a database through it."""
    pooler = PgBouncer(postgres_url, database)
    try:
        pooler.await_ready()
        yield pooler.url
    finally:
        pooler.stop()


def _owner(socket: Path) -> int:
    """Return the user to run as: it does not run as root, and only the owner can use a socket."""
    return socket.stat().st_uid if socket.is_absolute() else _NOBODY


def _await(url: str, log: Path) -> None:
    until = time.monotonic() + 10
    while True:
        try:
            psycopg.connect(url, connect_timeout=2).close()
            return
        except psycopg.OperationalError as error:
            if time.monotonic() > until:
                raise RuntimeError(log.read_text() if log.exists() else "no log") from error
            time.sleep(0.05)
