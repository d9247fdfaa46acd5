"""One run: 5,000 messages wait while their account accepts nothing, and workers are killed."""

import json
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, closing, contextmanager
from datetime import datetime
from pathlib import Path

from sqlalchemy import create_engine, func, select

from demo.stack import Stack
from service.domain.status import FINAL
from service.models import Message, StatusEvent
from simulator.config import Config
from simulator.running import Running
from tests.chaos.claims import Result
from tests.chaos.disturbances import Targets, disturb
from tests.chaos.outages import plan as plans
from tests.chaos.outages import traffic, verdict
from tests.chaos.outages.evidence import Evidence
from tests.chaos.outages.plan import Plan
from tests.chaos.outages.schedule import HANGS, Schedule
from tests.chaos.system import Log, service_manager, started

_PAUSE = 0.5  # seconds until a killed Redis starts again
_PROGRESS = 5.0  # seconds between two lines about the progress


def run(plan: Plan, log: Log = print) -> Result:
    """Run a plan and compare. Raises RuntimeError when a process does not start again."""
    start = time.monotonic()
    with ExitStack() as resources:
        waybill, simulator = resources.enter_context(_accounts())
        options = (*plan.simulator, "--accounts", str(simulator))
        settings = {**plan.settings, "ACCOUNTS_FILE": str(waybill)}
        targets = resources.enter_context(started(options, settings))
        stack = targets.stack
        _start_second_worker(stack)
        log(f"seed {plan.seed}; process logs in {stack.directory}")
        provider = Running(stack.simulator_url, Config())
        # Of two clients: the messages of one that wait do not delay those of the other.
        bulk, other = (
            traffic.Client(stack.url, stack.flask("clients", "create", name))
            for name in ("bulk", "other")
        )
        schedule = Schedule(provider)
        watch = resources.enter_context(closing(_Watch(stack, log)))
        with service_manager(stack, log):
            schedule.begin()
            traffic.post_pending(bulk, plan)
            _outages(targets, plan, other, schedule, watch)
            _hang(plan, other, schedule, watch)
            watch.settled(plan.settle_timeout)
            provider.wait_until_idle(30)
        evidence = _evidence((bulk, other), provider, schedule, watch)
        claims = verdict.judge(plan, evidence)
        audit = stack.flask("audit")
        return Result(claims, verdict.totals(evidence), audit, time.monotonic() - start)


def _outages(
    targets: Targets, plan: Plan, client: traffic.Client, schedule: Schedule, watch: "_Watch"
) -> None:
    """Post with a second account behind the one that accepts nothing, and kill processes."""
    watch.log(f"  {plan.pending:,} messages accepted; {plans.describe(plan)}")
    schedule.set(plan)
    steady, begin = traffic.Steady(client, plan.rate), time.monotonic()
    steady.start()
    try:
        for kill in plan.kills():
            watch.until(begin + kill.at)
            watch.log(f"  kill: {kill.name}")
            _kill(targets, kill.name)
        watch.until(begin + plan.refusing)
    finally:
        steady.end()


def _kill(targets: Targets, name: str) -> None:
    if name == "redis":
        disturb(targets, name, _PAUSE)
    else:
        targets.stack.kill(name)  # the service manager restarts it


def _start_second_worker(stack: Stack) -> None:
    first = stack.commands["worker-send"]
    stack.commands[plans.SECOND_WORKER] = (*first[: first.index("-n")], "-n", "send-2@%h")
    stack.start(plans.SECOND_WORKER)


def _hang(plan: Plan, client: traffic.Client, schedule: Schedule, watch: "_Watch") -> None:
    """Post messages whose provider does not answer."""
    schedule.hang()
    watch.log("  one provider does not answer")
    traffic.post_hanging(client, plan)
    deadline = time.monotonic() + plan.settle_timeout
    while schedule.hung() < plan.hanging and time.monotonic() < deadline:
        watch.progress()
    schedule.end(HANGS)


@contextmanager
def _accounts() -> Iterator[tuple[Path, Path]]:
    """Write the file of the second account, for Waybill and for the simulator."""
    entry = {"auth_token": plans.SECOND_TOKEN}
    waybill = {
        "name": "second",
        "account_sid": plans.SECOND_ACCOUNT,
        "phone_number": plans.SECOND_SENDER,
        **entry,
    }
    with tempfile.TemporaryDirectory(prefix="chaos-accounts-") as name:
        files = Path(name, "waybill.toml"), Path(name, "simulator.toml")
        for file, fields in zip(
            files, (waybill, {"sid": plans.SECOND_ACCOUNT, **entry}), strict=True
        ):
            lines = (f"{key} = {json.dumps(value)}" for key, value in fields.items())
            file.write_text("\n".join(["[[twilio]]", *lines]))
        yield files


class _Watch:
    """Reads the statuses in Waybill's database, and logs them now and then."""

    def __init__(self, stack: Stack, log: Log) -> None:
        self.log = log
        url = stack.environment["DATABASE_URL"].replace("://", "+psycopg://", 1)
        self._engine = create_engine(url)

    def close(self) -> None:
        """Close the connections to the database."""
        self._engine.dispose()

    def progress(self) -> None:
        """Wait some seconds, and log the statuses."""
        time.sleep(_PROGRESS)
        counts = sorted(self._counts().items())
        self.log("    " + ", ".join(f"{status} {count:,}" for status, count in counts))

    def until(self, moment: float) -> None:
        """Wait, and log the progress."""
        while (left := moment - time.monotonic()) > 0:
            if left < _PROGRESS:
                time.sleep(left)
            else:
                self.progress()

    def settled(self, timeout: float) -> None:
        """Wait until the fate of every message is known, or the time-out."""
        deadline = time.monotonic() + timeout
        while self._open() and time.monotonic() < deadline:
            self.progress()

    def words(self) -> dict[str, list[str]]:
        """Return the words of the ledger that state no status, by message id."""
        query = select(StatusEvent.message_id, StatusEvent.word)
        words = defaultdict(list)
        with self._engine.connect() as connection:
            for row in connection.execute(query.where(StatusEvent.status.is_(None))):
                words[str(row.message_id)].append(row.word)
        return words

    def _open(self) -> bool:
        return any(count for status, count in self._counts().items() if status not in FINAL)

    def _counts(self) -> Counter[str]:
        query = select(Message.status, func.count()).group_by(Message.status)
        with self._engine.connect() as connection:
            return Counter({row[0]: row[1] for row in connection.execute(query)})


def _evidence(
    clients: Iterable[traffic.Client], provider: Running, schedule: Schedule, watch: _Watch
) -> Evidence:
    refused = defaultdict(list)
    for entry in provider.refusals():
        refused[entry["outage"]].append(datetime.fromisoformat(entry["at"]))
    return Evidence(
        shown=[message for client in clients for message in client.messages()],
        sent=provider.records()["messages"],
        words=watch.words(),
        outages=schedule.outages(),
        refused=refused,
    )
