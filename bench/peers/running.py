"""The two peers as candidates: their processes, their tables."""

import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Final, NamedTuple

from redis import Redis
from sqlalchemy import make_url, text

from bench.callbacks import BASE_URL, Sent
from bench.databases import count, engine_of, settle
from bench.processes import await_port, process
from demo.servers import free_port, redis_server
from demo.stack import TOKEN
from service.redis_client.url import parse_redis_url

HERE: Final = Path(__file__).parent
GUIDE: Final = HERE / "guide"
_BIN: Final = Path(sys.executable).parent
_SIGNING: Final = {"PUBLIC_BASE_URL": BASE_URL, "TWILIO_AUTH_TOKEN": TOKEN}
_RECORDED: Final = "SELECT count(*) FROM (SELECT DISTINCT sid, status FROM status_history) AS said"
_MESSAGES: Final = text(
    "INSERT INTO message (sid, status, rank)"
    " SELECT sid, 'accepted', 0 FROM unnest(CAST(:sids AS text[])) AS sid"
)
_QUEUE, _UNACKED = "celery", "unacked"  # the names that Celery's Redis transport uses


class ServingPeer(NamedTuple):
    """A peer that is up."""

    url: str
    database: str
    redis: Redis | None = None

    def backlog(self) -> int:
        """Return how many tasks wait or are at work; none where there are no tasks."""
        if self.redis is None:
            return 0
        pipe = self.redis.pipeline()
        pipe.llen(_QUEUE)
        pipe.hlen(_UNACKED)
        return sum(map(int, pipe.execute()))

    def recorded(self) -> int:
        """Return how many distinct callbacks the history holds."""
        return count(self.database, _RECORDED)


class Guide:
    """Fastify and Twilio's library on both cores, a transaction for each callback."""

    name = "guide"

    @contextmanager
    def serving(
        self, directory: Path, database: str, messages: Sequence[Sent]
    ) -> Iterator[ServingPeer]:
        """Run the peer on an empty database, filled with these messages."""
        fill(database, messages)
        port, log, where = free_port(), directory / "guide.log", make_url(database)
        environment = {
            **_SIGNING,
            "PORT": str(port),
            "NODE_ENV": "production",
            "PGHOST": str(where.query.get("host") or where.host),
            "PGPORT": str(where.port or 5432),
            "PGUSER": where.username or "postgres",
            "PGPASSWORD": where.password or "",
            "PGDATABASE": where.database or "",
        }
        with process(("node", str(GUIDE / "server.mjs")), environment, log):
            await_port(port, log)
            yield ServingPeer(f"http://127.0.0.1:{port}", database)


class TaskPerCallback:
    """Flask and one Celery task for each callback, a transaction for each task."""

    name = "task per callback"
    _room: Final = "bench.peers.task_per_callback"

    @contextmanager
    def serving(
        self, directory: Path, database: str, messages: Sequence[Sent]
    ) -> Iterator[ServingPeer]:
        """Run the peer on an empty database, filled with these messages."""
        fill(database, messages)
        port = free_port()
        with ExitStack() as open_things:
            redis = open_things.enter_context(redis_server(directory / "redis")).local_url
            spelled = make_url(database).set(drivername="postgresql+psycopg")
            environment = {
                **_SIGNING,
                "DATABASE_URL": spelled.render_as_string(hide_password=False),
                "REDIS_URL": _broker_url(redis),
            }
            for command in (self._worker(), _web(self._room, port)):
                log = directory / f"{Path(command[0]).name}.log"
                open_things.enter_context(process(command, environment, log))
            await_port(port, log)
            yield ServingPeer(f"http://127.0.0.1:{port}", database, Redis.from_url(redis))

    def _worker(self) -> tuple[str, ...]:
        return (
            *(str(_BIN / "celery"), "-A", f"{self._room}.recording:celery", "worker"),
            *("--concurrency", "2", "--loglevel", "WARNING"),
        )


@contextmanager
def plain_post(directory: Path, database: str) -> Iterator[str]:
    """Run the plain view that stores and enqueues; yield its URL."""
    port, log = free_port(), directory / "plain.log"
    with engine_of(database).begin() as connection:
        connection.execute(text((HERE / "plain_post" / "schema.sql").read_text()))
    with redis_server(directory / "redis") as redis:
        spelled = make_url(database).set(drivername="postgresql+psycopg")
        environment = {
            "DATABASE_URL": spelled.render_as_string(hide_password=False),
            "REDIS_URL": _broker_url(redis.local_url),
        }
        with process(_web("bench.peers.plain_post", port), environment, log):
            await_port(port, log)
            yield f"http://127.0.0.1:{port}"


def _web(room: str, port: int) -> tuple[str, ...]:
    return (
        *(str(_BIN / "granian"), "--interface", "wsgi", f"{room}.web:app"),
        *("--workers", "2", "--blocking-threads", "4", "--port", str(port)),
        "--no-access-log",
    )


def fill(database: str, messages: Sequence[Sent]) -> None:
    """Make the peers' tables, with a row for each message."""
    with engine_of(database).begin() as connection:
        connection.execute(text((HERE / "schema.sql").read_text()))
        connection.execute(_MESSAGES, {"sids": [message.sid for message in messages]})
    settle(database)


def _broker_url(redis_url: str) -> str:
    """Return Redis's URL as Celery spells it."""
    url: str = parse_redis_url(redis_url).celery_settings()["broker_url"]
    return url
