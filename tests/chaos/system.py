"""The system under test: all processes behind proxies, and a service manager."""

import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from demo.servers import postgres_server, redis_server
from demo.stack import Stack, running
from tests.chaos.disturbances import Targets
from tests.proxy import proxy_to

#: As in production, with minutes in place of hours.
SETTINGS = {
    "TWILIO_CONNECT_TIMEOUT": "1",
    "TWILIO_READ_TIMEOUT": "3",
    "SINCH_CONNECT_TIMEOUT": "1",
    "SINCH_READ_TIMEOUT": "3",
    "CLAIM_LEASE": "10",
    "DOUBT_FIRST_LOOKUP": "2",
    "DOUBT_LOOKUPS": "4",
    "RECONCILE_AFTER": "20",
    "RECONCILE_HORIZON": "86400",
    "RECONCILE_BUDGET": "100",
    "INBOUND_LIST_EVERY": "10",
    "WORKER_CONCURRENCY": "16",
}

Log = Callable[[str], None]


@contextmanager
def started(simulator: Sequence[str], settings: Mapping[str, str]) -> Iterator[Targets]:
    """Run PostgreSQL, Redis, the simulator and all processes; yield when they are ready."""
    with ExitStack() as resources:
        data = Path(tempfile.mkdtemp(prefix="chaos-pg-"))
        postgres = resources.enter_context(postgres_server(data))
        directory = Path(tempfile.mkdtemp(prefix="chaos-"))
        redis = resources.enter_context(redis_server(directory / "redis"))
        proxies = {
            "postgres": resources.enter_context(proxy_to(str(data / ".s.PGSQL.5432"))),
            "redis": resources.enter_context(proxy_to(("127.0.0.1", redis.port))),
        }
        environment = {
            **SETTINGS,
            "DATABASE_URL": f"postgresql://postgres@127.0.0.1:{proxies['postgres'].port}/postgres",
            "REDIS_URL": f"redis://127.0.0.1:{proxies['redis'].port}/0",
            **settings,
        }
        stack = resources.enter_context(
            running(directory, simulator=simulator, environment=environment)
        )
        yield Targets(stack, redis, postgres, proxies, deleted=set())


@contextmanager
def service_manager(stack: Stack, log: Log) -> Iterator[None]:
    """Restart processes that exit, as `restart: unless-stopped` of compose does."""
    done = threading.Event()

    def watch() -> None:
        while not done.wait(1):
            for name in stack.revive():
                log(f"    {name} exited; restarted")

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()
