"""Runs PgBouncer in transaction mode in front of the test PostgreSQL."""

import os
import shutil
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
* = host={directory} port=5432 user=postgres
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


def binary() -> str:
    """Return the path of PgBouncer, or skip the test."""
    path = shutil.which("pgbouncer", path=os.environ["PATH"] + ":/usr/sbin:/sbin")
    if path is None:
        pytest.skip(
            "PgBouncer is not installed: run tests/install-tools or apt-get install pgbouncer"
        )
    return path


@contextmanager
def pgbouncer(postgres_url: str, database: str) -> Iterator[str]:
    """Run PgBouncer; yield the URL of a database through it."""
    program, port = binary(), free_port()
    directory = Path(parse_qs(urlsplit(postgres_url).query)["host"][0])
    home = Path(tempfile.mkdtemp(prefix="waybill-pgbouncer-"))
    (home / "pgbouncer.ini").write_text(_INI.format(directory=directory, port=port, home=home))
    # PgBouncer does not run as root, and only the owner of the server's socket can use it.
    owner = directory.stat().st_uid
    if os.getuid() == 0:
        for path in (home, home / "pgbouncer.ini"):
            os.chown(path, owner, -1)
    process = subprocess.Popen(
        [program, "-q", str(home / "pgbouncer.ini")],
        user=owner if os.getuid() == 0 else None,
        stderr=subprocess.DEVNULL,
    )
    url = f"postgresql://postgres@127.0.0.1:{port}/{database}"
    try:
        _await(url, home / "log")
        yield url
    finally:
        process.terminate()
        process.wait(10)
        shutil.rmtree(home)


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
