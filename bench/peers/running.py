"""The peers as candidates: their processes and tables."""

import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Final, NamedTuple

from redis import Redis
from sqlalchemy import make_url, text

from bench.callbacks import BASE_URL, SentMessage
from bench.databases import count, engine_of, settle
from bench.processes import await_port, process
from demo.servers import free_port, redis_server
from demo.stack import TOKEN
from service.redis_client.url import parse_redis_url

HERE: Final = Path(__file__).parent
GUIDE: Final = HERE / "guide"
_BIN: Final = Path(sys.executable).parent
_SIGNING: Final = {"PUBLIC_BASE_URL": BASE_URL, "TWILIO_AUTH_TOKEN": TOKEN}
_RECORDED: Final = (
    "SELECT count(*) FROM (SELECT DISTINCT sid, status FROM status_history) AS callbacks"
)
_MESSAGES: Final = text(
    "INSERT INTO message (sid, status, rank)"
    " SELECT sid, 'accepted', 0 FROM unnest(CAST(:sids AS text[])) AS sid"
)
_QUEUE, _UNACKED = "celery", "unacked"  # the names that Celery's Redis transport uses


class ServingPeer(NamedTuple):
    """A running peer."""

    url: str
    database: str
    redis: Redis | None = None

    def backlog(self) -> int:
        """Return the number of waiting and running tasks; 0 for a peer without tasks."""
        if self.redis is None:
            return 0
        pipe = self.redis.pipeline()
        pipe.llen(_QUEUE)
        pipe.hlen(_UNACKED)
        return sum(map(int, pipe.execute()))

    def recorded(self) -> int:
        """Return the number of distinct callbacks in the history."""
        return count(self.database, _RECORDED)


class Guide:
    """Fastify and Twilio's library on both cores; one transaction for each callback."""

    name = "guide"

    @contextmanager
    def serving(
        self, directory: Path, database: str, messages: Sequence[SentMessage]
    ) -> Iterator[ServingPeer]:
        """Run the peer with a database that contains only these messages."""
        fill(database, messages)
        port, log, server = free_port(), directory / "guide.log", make_url(database)
        environment = {
            **_SIGNING,
            "PORT": str(port),
            "NODE_ENV": "production",
            "PGHOST": str(server.query.get("host") or server.host),
            "PGPORT": str(server.port or 5432),
            "PGUSER": server.username or "postgres",
            "PGPASSWORD": server.password or "",
            "PGDATABASE": server.database or "",
        }
        with process(("node", str(GUIDE / "server.mjs")), environment, log):
            await_port(port, log)
            yield ServingPeer(f"http://127.0.0.1:{port}", database)


class TaskPerCallback:
    """Flask and one Celery task for each callback; one transaction for each task."""

    name = "task per callback"
    _package: Final = "bench.peers.task_per_callback"

    @contextmanager
    def serving(
        self, directory: Path, database: str, messages: Sequence[SentMessage]
    ) -> Iterator[ServingPeer]:
        """Run the peer with a database that contains only these messages."""
        fill(database, messages)
        port = free_port()
        with ExitStack() as resources:
            redis = resources.enter_context(redis_server(directory / "redis")).local_url
            url = make_url(database).set(drivername="postgresql+psycopg")
            environment = {
                **_SIGNING,
                "DATABASE_URL": url.render_as_string(hide_password=False),
                "REDIS_URL": _broker_url(redis),
            }
            for command in (self._worker(), _web(self._package, port)):
                log = directory / f"{Path(command[0]).name}.log"
                resources.enter_context(process(command, environment, log))
            await_port(port, log)
            yield ServingPeer(f"http://127.0.0.1:{port}", database, Redis.from_url(redis))

    def _worker(self) -> tuple[str, ...]:
        return (
            *(str(_BIN / "celery"), "-A", f"{self._package}.recording:celery", "worker"),
            *("--concurrency", "2", "--loglevel", "WARNING"),
        )


@contextmanager
def plain_post(directory: Path, database: str) -> Iterator[str]:
    """Run the plain view; yield its URL."""
    port, log = free_port(), directory / "plain.log"
    with engine_of(database).begin() as connection:
        connection.execute(text((HERE / "plain_post" / "schema.sql").read_text()))
    with redis_server(directory / "redis") as redis:
        url = make_url(database).set(drivername="postgresql+psycopg")
        environment = {
            "DATABASE_URL": url.render_as_string(hide_password=False),
            "REDIS_URL": _broker_url(redis.local_url),
        }
        with process(_web("bench.peers.plain_post", port), environment, log):
            await_port(port, log)
            yield f"http://127.0.0.1:{port}"


def _web(package: str, port: int) -> tuple[str, ...]:
    return (
        *(str(_BIN / "granian"), "--interface", "wsgi", f"{package}.web:app"),
        *("--workers", "2", "--blocking-threads", "4", "--port", str(port)),
        "--no-access-log",
    )


def fill(database: str, messages: Sequence[SentMessage]) -> None:
    """Create the peers' tables, and a row for each message."""
    with engine_of(database).begin() as connection:
        connection.execute(text((HERE / "schema.sql").read_text()))
        connection.execute(_MESSAGES, {"sids": [message.sid for message in messages]})
    settle(database)


def _broker_url(redis_url: str) -> str:
    """Return the URL of Redis in Celery's format."""
    url: str = parse_redis_url(redis_url).celery_settings()["broker_url"]
    return url
