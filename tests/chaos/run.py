"""One run: start the stack, disturb it under traffic, wait until it settles, and compare."""

import time
from typing import Any, NamedTuple

import requests
from sqlalchemy import Engine, create_engine

from tests.chaos import inbound_books, inbound_verdict, suppressed
from tests.chaos import verdict as verdicts
from tests.chaos.disturbances import Targets, disturb
from tests.chaos.persons import Persons
from tests.chaos.plan import Plan
from tests.chaos.system import Log, service_manager, started
from tests.chaos.traffic import Traffic
from tests.chaos.verdict import Verdict


class Result(NamedTuple):
    """Result of a run."""

    verdict: Verdict
    totals: dict[str, int]
    audit: str
    seconds: float


def run(plan: Plan, log: Log = print) -> Result:
    """Run a plan and compare. Raises RuntimeError when a process does not start again."""
    start = time.monotonic()
    with started(plan.simulator, {}) as targets:
        stack = targets.stack
        log(f"seed {plan.seed}: {plan.messages} messages; process logs in {stack.directory}")
        key = stack.flask("clients", "create", "chaos")
        _ask_for_events(stack.url, key)
        traffic, persons = Traffic(stack.url, key, plan), Persons(stack, plan)
        traffic.start()
        persons.start()
        with service_manager(stack, log):
            _disturb(targets, plan, log)
            traffic.wait()
            persons.wait()
            took = time.monotonic() - start
            log(f"all messages accepted after {took:.0f} s: {dict(traffic.answers)}")
            _await_settled(targets, plan, plan.messages, log)
            traffic.post_again()
            verdict = _await_settled(targets, plan, plan.messages + plan.persons, log)
        audit = _audit(targets)
        totals = verdicts.totals(verdicts.read_records(stack)) + verdict.inbound.totals
        return Result(verdict, dict(sorted(totals.items())), audit, time.monotonic() - start)


def _ask_for_events(url: str, key: str) -> None:
    """Read the feed once: from now on, there is an event of each inbound message."""
    headers = {"Authorization": f"Bearer {key}"}
    requests.get(f"{url}/v1/events", headers=headers, timeout=30).raise_for_status()


def _disturb(targets: Targets, plan: Plan, log: Log) -> None:
    time.sleep(plan.warm_up)
    for name, seconds in plan.disturbances:
        log(f"  disturbance: {name} ({seconds:g} s)")
        disturb(targets, name, seconds)
        time.sleep(plan.pause)


def _await_settled(targets: Targets, plan: Plan, messages: int, log: Log) -> Verdict:
    """Wait until all checks pass, or the time-out; return the last verdict."""
    deadline = time.monotonic() + plan.settle_timeout
    engine = create_engine(
        targets.stack.environment["DATABASE_URL"].replace("://", "+psycopg://", 1)
    )
    try:
        while True:
            verdict = _judge(targets, engine, plan, messages)
            busy = _is_busy(targets)
            if (verdict.holds() and not busy) or time.monotonic() > deadline:
                return verdict
            log(
                f"  waiting: {len(verdict.unfinished)} messages unfinished, "
                f"{len(verdict.wrong_status)} with a different status, "
                f"{len(verdict.lost)} callbacks and "
                f"{len(verdict.inbound.lost + verdict.inbound.missed)} inbound messages missing, "
                f"provider {'busy' if busy else 'idle'}"
            )
            time.sleep(max(3, plan.messages / 1000))  # reading all records takes long
    finally:
        engine.dispose()


def _judge(targets: Targets, engine: Engine, plan: Plan, messages: int) -> Verdict:
    records = verdicts.read_records(targets.stack)
    verdict = verdicts.judge(records, engine, messages, targets.deleted)
    written = inbound_books.read_written(targets.stack)
    recorded = inbound_verdict.read_recorded(engine)
    verdict.inbound = inbound_verdict.judge(written, recorded, targets.deleted)
    if messages > plan.messages:
        wrong = suppressed.wrong(records, engine, plan, recorded.opted_out)
        verdict.inbound.wrong_suppressed = list(wrong)
    return verdict


def _is_busy(targets: Targets) -> bool:
    answer: dict[str, Any] = requests.get(
        f"{targets.stack.simulator_url}/_simulator/idle", timeout=30
    ).json()
    return not answer["idle"]


def _audit(targets: Targets) -> str:
    """Return the output of `flask audit`. Raises RuntimeError when the audit fails."""
    return targets.stack.flask("audit")
