"""A new database for every round, on one PostgreSQL with default durability."""

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
    """A PostgreSQL server that creates empty databases."""

    def __init__(self, server: Any) -> None:
        self.server = server  # has `stop` and `start`
        self._url = make_url(server.get_uri()).set(drivername="postgresql+psycopg")
        self._numbers = itertools.count()

    @contextmanager
    def fresh(self) -> Iterator[str]:
        """Create a database and yield its URL; drop it afterwards."""
        name = f"bench_{next(self._numbers)}"
        self._administer(f"CREATE DATABASE {name}")
        try:
            # Without a driver name, for psql and Node's driver.
            url = self._url.set(database=name, drivername="postgresql")
            yield url.render_as_string(hide_password=False)
        finally:
            self._administer(f"DROP DATABASE {name} WITH (FORCE)")

    def settings(self) -> dict[str, str]:
        """Return the version and the durability settings of the server."""
        names = ("server_version", "fsync", "synchronous_commit", "full_page_writes")
        with engine_of(self._url.render_as_string(hide_password=False)).connect() as connection:
            return {name: str(connection.scalar(text(f"SHOW {name}"))) for name in names}

    def _administer(self, statement: str) -> None:
        engine = create_engine(self._url, poolclass=NullPool, isolation_level="AUTOCOMMIT")
        with engine.connect() as connection:
            connection.execute(text(statement))


@contextmanager
def databases() -> Iterator[Databases]:
    """Run a PostgreSQL for the whole benchmark."""
    # As root the server runs as another user, which needs access to this directory.
    directory = Path(tempfile.mkdtemp(prefix="waybill-pg-"))
    try:
        with postgres_server(directory) as server:
            yield Databases(server)
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def engine_of(url: str) -> Engine:
    """Return an engine without a connection pool."""
    parsed = make_url(url)
    if parsed.drivername == "postgresql":
        parsed = parsed.set(drivername="postgresql+psycopg")
    return create_engine(parsed, poolclass=NullPool)


def settle(url: str) -> None:
    """Vacuum, analyze and checkpoint, so that this does not run during the measurement."""
    engine = engine_of(url).execution_options(isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(text("VACUUM ANALYZE"))
        connection.execute(text("CHECKPOINT"))


def count(url: str, query: str) -> int:
    """Return the number that a query selects."""
    with engine_of(url).connect() as connection:
        return int(connection.scalar(text(query)) or 0)
