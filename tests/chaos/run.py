"""One run: start everything, disturb it under traffic, wait for quiet, compare the witnesses."""

import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import requests
from sqlalchemy import create_engine

from demo.servers import postgres_server, redis_server
from demo.stack import Stack, running
from tests.chaos import verdict as verdicts
from tests.chaos.disturbances import World, disturb
from tests.chaos.plan import Plan
from tests.chaos.traffic import Traffic
from tests.chaos.verdict import Verdict
from tests.proxy import proxy_to

# As in production, but with minutes in place of hours.
_SETTINGS = {
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
    "WORKER_CONCURRENCY": "16",
}

Say = Callable[[str], None]


class Result(NamedTuple):
    """What a run came to."""

    verdict: Verdict
    totals: dict[str, int]
    audit: str
    seconds: float


def run(plan: Plan, say: Say = print) -> Result:
    """Run a plan and judge it. Raises RuntimeError when a process does not come back."""
    begun = time.monotonic()
    with ExitStack() as things:
        data = Path(tempfile.mkdtemp(prefix="chaos-pg-"))
        postgres = things.enter_context(postgres_server(data))
        directory = Path(tempfile.mkdtemp(prefix="chaos-"))
        redis = things.enter_context(redis_server(directory / "redis"))
        proxies = {
            "postgres": things.enter_context(proxy_to(str(data / ".s.PGSQL.5432"))),
            "redis": things.enter_context(proxy_to(("127.0.0.1", redis.port))),
        }
        environment = {
            **_SETTINGS,
            "DATABASE_URL": f"postgresql://postgres@127.0.0.1:{proxies['postgres'].port}/postgres",
            "REDIS_URL": f"redis://127.0.0.1:{proxies['redis'].port}/0",
        }
        stack = things.enter_context(
            running(directory, simulator=plan.simulator, environment=environment)
        )
        world = World(stack, redis, postgres, proxies, lost=set())
        say(f"seed {plan.seed}: {plan.messages} messages, logs in {directory}")
        traffic = Traffic(stack.url, stack.flask("clients", "create", "chaos"), plan)
        traffic.start()
        things.enter_context(_service_manager(stack, say))
        _disturb(world, plan, say)
        traffic.wait()
        say(f"all posted after {time.monotonic() - begun:.0f} s: {dict(traffic.answers)}")
        found = _await_quiet(world, plan, say)
        audit = _audit(world)
        totals = verdicts.totals(verdicts.read_books(stack))
        return Result(found, dict(sorted(totals.items())), audit, time.monotonic() - begun)


@contextmanager
def _service_manager(stack: Stack, say: Say) -> Iterator[None]:
    """Start again what ends by itself: `restart: unless-stopped`, as compose has it."""
    done = threading.Event()

    def watch() -> None:
        while not done.wait(1):
            for name in stack.revive():
                say(f"    {name} ended by itself and is started again")

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


def _disturb(world: World, plan: Plan, say: Say) -> None:
    time.sleep(plan.first)
    for what, seconds in plan.disturbances:
        say(f"  {what} ({seconds:g} s)")
        disturb(world, what, seconds)
        time.sleep(plan.pause)


def _await_quiet(world: World, plan: Plan, say: Say) -> Verdict:
    """Wait until the witnesses agree; return how far they did when patience ends."""
    until = time.monotonic() + plan.patience
    engine = create_engine(world.stack.environment["DATABASE_URL"].replace("://", "+psycopg://", 1))
    try:
        while True:
            found = verdicts.judge(
                verdicts.read_books(world.stack), engine, plan.messages, world.lost
            )
            still = _moving(world)
            if (found.holds() and not still) or time.monotonic() > until:
                return found
            say(
                f"  unsettled {len(found.unsettled)}, different {len(found.different)}, "
                f"missing {len(found.missing)}, carrier busy {still}"
            )
            time.sleep(max(3, plan.messages / 1000))  # the books are long
    finally:
        engine.dispose()


def _moving(world: World) -> bool:
    answer: dict[str, Any] = requests.get(
        f"{world.stack.simulator_url}/_simulator/idle", timeout=30
    ).json()
    return not answer["idle"]


def _audit(world: World) -> str:
    """Return what `audit` printed. Raises RuntimeError when it exits badly."""
    return world.stack.flask("audit")
