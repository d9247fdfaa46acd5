"""One run: servers fail over one after another under traffic; then both witnesses are compared."""

import shutil
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import Final

from sqlalchemy import Engine, create_engine

from demo.stack import COMMANDS, Stack, running
from simulator.config import Config
from simulator.running import Running
from tests.chaos import verdict as verdicts
from tests.chaos.claims import Claim, Result
from tests.chaos.failovers import verdict
from tests.chaos.failovers.installations import Event, started
from tests.chaos.failovers.meters import Meter, meters
from tests.chaos.failovers.plan import Plan
from tests.chaos.failovers.traffic import Steady
from tests.chaos.failovers.verdict import Recovery
from tests.chaos.system import SETTINGS, Log
from tests.chaos.verdict import Verdict

_POLL: Final = 0.2
# Seconds. A counter that grew so short a time ago is growing.
_GROWING: Final = 2.0
# Seconds. Longer than a worker waits before it takes over what another one left (20 s).
_RECLAIMED: Final = 45.0
_SETTLE_POLL: Final = 3.0


def run(plan: Plan, log: Log = print) -> Result:
    """Run a plan and compare. No process is started again: each must go on by itself."""
    start = time.monotonic()
    directory = Path(tempfile.mkdtemp(prefix="chaos-"))
    with ExitStack() as resources:
        servers = resources.enter_context(started(plan.installation, plan.seed, directory))
        settings = {**SETTINGS, **servers.settings, **plan.settings}
        processes = running(directory / "processes", simulator=plan.simulator, environment=settings)
        stack = resources.enter_context(processes)
        _log_tasks_of_beat(stack)
        log(f"seed {plan.seed}: {plan.installation}; process logs in {stack.directory}")
        engine = resources.enter_context(_engine(stack))
        traffic = Steady(stack.url, stack.flask("clients", "create", "chaos"), plan.rate)
        recoveries = _disturb(plan, servers.events, stack, traffic, engine, log)
        last = _await_settled(plan, stack, engine, traffic.posted, log)
        records = verdicts.read_records(stack)
        claims = verdict.judge(plan, records, last, recoveries, _exited(stack))
        claim, audit = _audit(stack)
        totals = verdicts.totals(records)
        return Result([*claims, claim], totals, audit, time.monotonic() - start)


def _log_tasks_of_beat(stack: Stack) -> None:
    """Start beat again with a log of each task that it has enqueued."""
    stack.stop("beat")
    program, *arguments = COMMANDS["beat"]
    environment = (str(shutil.which("env")), "LOG_LEVEL=DEBUG")
    stack.commands["beat"] = (*environment, str(Path(sys.executable).parent / program), *arguments)
    stack.start("beat")


@contextmanager
def _engine(stack: Stack) -> Iterator[Engine]:
    engine = create_engine(stack.environment["DATABASE_URL"].replace("://", "+psycopg://", 1))
    try:
        yield engine
    finally:
        engine.dispose()


def _disturb(
    plan: Plan,
    events: Mapping[str, Event],
    stack: Stack,
    traffic: Steady,
    engine: Engine,
    log: Log,
) -> list[Recovery]:
    traffic.start()
    with closing(_Ending(traffic)), meters(stack, traffic, engine) as watched:
        time.sleep(plan.warm_up)
        _await_service(plan, watched)  # else the first event is taken for a slow start
        return [_one(plan, name, events[name], watched, log) for name in plan.events]


class _Ending:
    """Ends traffic also when a run fails: its threads would never end."""

    def __init__(self, traffic: Steady) -> None:
        self.close = traffic.end


def _one(plan: Plan, name: str, event: Event, watched: Mapping[str, Meter], log: Log) -> Recovery:
    """Cause one event and repair it; return what it cost."""
    with event() as moment:
        stuck = _await_service(plan, watched)
    stuck |= _await_service(plan, watched)
    end = time.monotonic()
    pauses = {counter: meter.longest_pause(moment, end) for counter, meter in watched.items()}
    worst = max(pauses, key=lambda counter: pauses[counter])
    log(f"  {name}: longest pause {pauses[worst]:.1f} s ({worst})")
    return Recovery(name, pauses, sorted(stuck))


def _await_service(plan: Plan, watched: Mapping[str, Meter]) -> set[str]:
    """Wait until all counters grow; return those that do not when the time is over."""
    time.sleep(plan.observed)
    deadline = time.monotonic() + plan.timeout
    while stuck := _not_growing(watched):
        if time.monotonic() > deadline:
            return stuck
        time.sleep(_POLL)
    return set()


def _not_growing(watched: Mapping[str, Meter]) -> set[str]:
    recent = time.monotonic() - _GROWING
    return {counter for counter, meter in watched.items() if not meter.has_grown_since(recent)}


def _await_settled(plan: Plan, stack: Stack, engine: Engine, messages: int, log: Log) -> Verdict:
    """Wait until all checks pass, or nothing changes any more; return the last verdict."""
    start = changed = time.monotonic()
    lost = list[tuple[str, str]]()
    while True:
        last = verdicts.judge(verdicts.read_records(stack), engine, messages, set())
        now = time.monotonic()
        if last.lost != lost:
            lost, changed = last.lost, now
        done = not (last.unfinished or last.wrong_status) and _is_idle(stack)
        if (done and (not lost or now - changed > _RECLAIMED)) or now - start > plan.settle_timeout:
            return last
        log(
            f"  waiting: {len(last.unfinished)} messages unfinished, {len(last.wrong_status)} with"
            f" a different status, {len(lost)} callbacks missing"
        )
        time.sleep(_SETTLE_POLL)


def _is_idle(stack: Stack) -> bool:
    try:
        Running(stack.simulator_url, Config()).wait_until_idle(0)
    except TimeoutError:
        return False
    return True


def _exited(stack: Stack) -> list[str]:
    try:
        stack.check()
    except RuntimeError as error:
        return [str(error)]
    return []


def _audit(stack: Stack) -> tuple[Claim, str]:
    """Return the claim that the audit finds nothing, and its output."""
    try:
        return Claim("audit", "passes", True), stack.flask("audit")
    except RuntimeError as error:
        return Claim("audit", "fails", False), str(error)
