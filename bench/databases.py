"""A fresh database for every round, on one PostgreSQL with its default durability."""

import itertools
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, create_engine, make_url, text
from sqlalchemy.pool import NullPool

from demo.servers import postgres_server


class Databases:
    """A PostgreSQL server that hands out empty databases."""

    def __init__(self, server: Any) -> None:
        self.server = server  # with `stop` and `start`
        self._url = make_url(server.get_uri()).set(drivername="postgresql+psycopg")
        self._numbers = itertools.count()

    @contextmanager
    def fresh(self) -> Iterator[str]:
        """Make a database and yield its URL; drop it afterwards."""
        name = f"bench_{next(self._numbers)}"
        self._administer(f"CREATE DATABASE {name}")
        try:
            # The plain spelling, which psql and Node's driver understand as well.
            url = self._url.set(database=name, drivername="postgresql")
            yield url.render_as_string(hide_password=False)
        finally:
            self._administer(f"DROP DATABASE {name} WITH (FORCE)")

    def settings(self) -> dict[str, str]:
        """Return the server's version and what it promises of a commit."""
        names = ("server_version", "fsync", "synchronous_commit", "full_page_writes")
        with engine_of(self._url.render_as_string(hide_password=False)).connect() as connection:
            return {name: str(connection.scalar(text(f"SHOW {name}"))) for name in names}

    def _administer(self, statement: str) -> None:
        engine = create_engine(self._url, poolclass=NullPool, isolation_level="AUTOCOMMIT")
        with engine.connect() as connection:
            connection.execute(text(statement))


@contextmanager
def databases() -> Iterator[Databases]:
    """Run a PostgreSQL for the whole measurement."""
    # Its own directory: as root the server runs as another user, who must get there.
    directory = Path(tempfile.mkdtemp(prefix="waybill-pg-"))
    try:
        with postgres_server(directory) as server:
            yield Databases(server)
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def engine_of(url: str) -> Engine:
    """Return an engine that keeps no connection."""
    spelled = make_url(url)
    if spelled.drivername == "postgresql":
        spelled = spelled.set(drivername="postgresql+psycopg")
    return create_engine(spelled, poolclass=NullPool)


def settle(url: str) -> None:
    """Leave nothing of the filling to be done during the measurement."""
    engine = engine_of(url).execution_options(isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(text("VACUUM ANALYZE"))
        connection.execute(text("CHECKPOINT"))


def count(url: str, query: str) -> int:
    """Return the number that a query asks for."""
    with engine_of(url).connect() as connection:
        return int(connection.scalar(text(query)) or 0)
