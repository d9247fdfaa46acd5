"""One run: start the stack, disturb it under traffic, wait until it settles, and compare."""

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
from tests.chaos.disturbances import Targets, disturb
from tests.chaos.plan import Plan
from tests.chaos.traffic import Traffic
from tests.chaos.verdict import Verdict
from tests.proxy import proxy_to

# As in production, with minutes in place of hours.
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

Log = Callable[[str], None]


class Result(NamedTuple):
    """Result of a run."""

    verdict: Verdict
    totals: dict[str, int]
    audit: str
    seconds: float


def run(plan: Plan, log: Log = print) -> Result:
    """Run a plan and compare. Raises RuntimeError when a process does not start again."""
    start = time.monotonic()
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
            **_SETTINGS,
            "DATABASE_URL": f"postgresql://postgres@127.0.0.1:{proxies['postgres'].port}/postgres",
            "REDIS_URL": f"redis://127.0.0.1:{proxies['redis'].port}/0",
        }
        stack = resources.enter_context(
            running(directory, simulator=plan.simulator, environment=environment)
        )
        targets = Targets(stack, redis, postgres, proxies, deleted=set())
        log(f"seed {plan.seed}: {plan.messages} messages; process logs in {directory}")
        traffic = Traffic(stack.url, stack.flask("clients", "create", "chaos"), plan)
        traffic.start()
        resources.enter_context(_service_manager(stack, log))
        _disturb(targets, plan, log)
        traffic.wait()
        log(
            f"all messages accepted after {time.monotonic() - start:.0f} s: {dict(traffic.answers)}"
        )
        verdict = _await_settled(targets, plan, log)
        audit = _audit(targets)
        totals = verdicts.totals(verdicts.read_records(stack))
        return Result(verdict, dict(sorted(totals.items())), audit, time.monotonic() - start)


@contextmanager
def _service_manager(stack: Stack, log: Log) -> Iterator[None]:
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


def _disturb(targets: Targets, plan: Plan, log: Log) -> None:
    time.sleep(plan.warm_up)
    for name, seconds in plan.disturbances:
        log(f"  disturbance: {name} ({seconds:g} s)")
        disturb(targets, name, seconds)
        time.sleep(plan.pause)


def _await_settled(targets: Targets, plan: Plan, log: Log) -> Verdict:
    """Wait until all checks pass, or the time-out; return the last verdict."""
    deadline = time.monotonic() + plan.settle_timeout
    engine = create_engine(
        targets.stack.environment["DATABASE_URL"].replace("://", "+psycopg://", 1)
    )
    try:
        while True:
            records = verdicts.read_records(targets.stack)
            verdict = verdicts.judge(records, engine, plan.messages, targets.deleted)
            busy = _is_busy(targets)
            if (verdict.holds() and not busy) or time.monotonic() > deadline:
                return verdict
            log(
                f"  waiting: {len(verdict.unfinished)} messages unfinished, "
                f"{len(verdict.wrong_status)} with a different status, "
                f"{len(verdict.lost)} callbacks missing, provider {'busy' if busy else 'idle'}"
            )
            time.sleep(max(3, plan.messages / 1000))  # reading all records takes long
    finally:
        engine.dispose()


def _is_busy(targets: Targets) -> bool:
    answer: dict[str, Any] = requests.get(
        f"{targets.stack.simulator_url}/_simulator/idle", timeout=30
    ).json()
    return not answer["idle"]


def _audit(targets: Targets) -> str:
    """Return the output of `flask audit`. Raises RuntimeError when the audit fails."""
    return targets.stack.flask("audit")
