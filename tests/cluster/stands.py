"""The stands on which `make cluster-test` runs the tests of the path, and their settings."""

import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Final

from demo.servers import postgres_server, redis_server
from tests.cluster.postgres import postgres_stand
from tests.cluster.rabbitmq import rabbitmq
from tests.cluster.redis_cluster import redis_cluster
from tests.cluster.sentinel import sentinel_stand
from tests.pgbouncer import pgbouncer

Settings = Mapping[str, str]


@contextmanager
def _sentinel(directory: Path) -> Iterator[Settings]:
    with sentinel_stand(directory) as stand:
        yield {"REDIS_URL": stand.url, "INBOX_REPLICAS": "1"}


@contextmanager
def _cluster(directory: Path) -> Iterator[Settings]:
    """Everything but the broker, which cannot be a cluster."""
    with redis_cluster(directory) as stand, redis_server(directory / "broker") as broker:
        yield {"REDIS_URL": stand.url, "INBOX_STREAMS": "4", "BROKER_URL": broker.url}


@contextmanager
def _rabbitmq(directory: Path) -> Iterator[Settings]:
    with rabbitmq(directory) as stand:
        yield {"BROKER_URL": stand.url}


@contextmanager
def _standby(directory: Path) -> Iterator[Settings]:
    with postgres_stand(directory, synchronous=True) as stand:
        yield {"DATABASE_URL": stand.url, "DATABASE_READ_URL": stand.read_url}


@contextmanager
def _pgbouncer(directory: Path) -> Iterator[Settings]:
    with (
        postgres_server(directory) as server,
        pgbouncer(server.get_uri(), "postgres") as url,
    ):
        yield {"DATABASE_URL": url}


_STANDS: Final[Mapping[str, Callable[[Path], AbstractContextManager[Settings]]]] = {
    "sentinel": _sentinel,
    "cluster": _cluster,
    "rabbitmq": _rabbitmq,
    "standby": _standby,
    "pgbouncer": _pgbouncer,
}
NAMES: Final = tuple(_STANDS)


@contextmanager
def run_stand(name: str) -> Iterator[Settings]:
    """Run a stand; yield the settings that replace those of one server."""
    directory = Path(tempfile.mkdtemp(prefix=f"waybill-{name}-"))
    try:
        with _STANDS[name](directory) as settings:
            yield settings
    finally:
        shutil.rmtree(directory, ignore_errors=True)
