"""One run: receivers fail for an hour, by a factor, and processes are killed; then all recover."""

import threading
import time
from collections import Counter
from collections.abc import Mapping
from contextlib import ExitStack
from datetime import UTC, datetime
from typing import Any, Final

from sqlalchemy import create_engine, select

from demo.stack import Stack
from service.domain.status import FINAL
from service.models import Event
from tests.chaos.claims import Result
from tests.chaos.disturbances import Targets, disturb
from tests.chaos.outages.traffic import Client
from tests.chaos.system import Log, service_manager, started
from tests.chaos.webhooks import plan as plans
from tests.chaos.webhooks import verdict
from tests.chaos.webhooks.books import Receivers, receivers
from tests.chaos.webhooks.evidence import Evidence, Recovery
from tests.chaos.webhooks.plan import ENDPOINTS, FIRST, GROUPS, NARROW, SECOND, Plan
from tests.chaos.webhooks.subscriber import Follower, Subscriber

_POLL: Final = 2.0
_POSTERS: Final = 4  # threads
# A worker that was killed leaves its deliveries claimed for 45 s.
_LEASE: Final = 60.0


class _Run:
    """The parts of a run, and what it learned until now."""

    def __init__(self, plan: Plan, targets: Targets, receivers: Receivers, log: Log) -> None:
        self.plan, self.targets, self.receivers, self.log = plan, targets, receivers, log
        keys = {name: targets.stack.flask("clients", "create", name) for name in (FIRST, SECOND)}
        url = targets.stack.url
        self.clients = {name: Client(url, key) for name, key in keys.items()}
        self.subscribers = {name: Subscriber(url, key) for name, key in keys.items()}
        self.followers = {name: Follower(each) for name, each in self.subscribers.items()}
        self.endpoint_ids = {name: self._subscribe(name) for name in ENDPOINTS}
        self.since = datetime.now(UTC)
        self.posted, self._counting = Counter[str](), threading.Lock()
        self.before = 0
        self.disabled = dict[str, str]()
        self.recoveries = dict[str, Recovery]()

    def traffic(self) -> None:
        """Post messages while receivers fail and processes are killed."""
        end = threading.Event()
        threads = [
            threading.Thread(target=self._post, args=(first, end)) for first in range(_POSTERS)
        ]
        for follower in self.followers.values():
            follower.start()
        for thread in threads:
            thread.start()
        try:
            time.sleep(self.plan.warm_up)
            self.log(f"  {plans.describe(self.plan)}")
            self._let_fail()
        finally:
            end.set()
            for thread in threads:
                thread.join()

    def settle(self) -> None:
        """Wait until every message is final, and until working endpoints have everything."""
        deadline = time.monotonic() + self.plan.settle_timeout
        while (left := self._open()) and time.monotonic() < deadline:
            self.log(f"    {left} messages unfinished")
            time.sleep(_POLL)
        for follower in self.followers.values():
            follower.end()
        deadline = time.monotonic() + _LEASE
        working = [name for name, each in ENDPOINTS.items() if each.habit == "works"]
        while time.monotonic() < deadline:
            evidence = self.evidence()
            if not (left := sum(len(evidence.missing(name)) for name in working)):
                return
            self.log(f"    {left} events missing at endpoints that work")
            time.sleep(_POLL)

    def recover(self) -> None:
        """Make all receivers work, recover each endpoint by one call, and wait for the events."""
        self.before = len(self.receivers.requests())
        evidence = self.evidence()
        for name, each in ENDPOINTS.items():
            self.receivers.become(name, "works")
            if each.habit != "works":
                self.recoveries[name] = self._recover(name, len(evidence.missing(name)))
        deadline = time.monotonic() + self.plan.settle_timeout
        while (left := verdict.missing(self.evidence())) and time.monotonic() < deadline:
            self.log(f"    {left} events missing")
            time.sleep(_POLL)

    def evidence(self) -> Evidence:
        """Read what both sides know now."""
        shown = [message for client in self.clients.values() for message in client.messages()]
        return Evidence(
            posted=self.posted,
            shown={message["id"]: message for message in shown},
            feeds={name: [*each.feed()] for name, each in self.subscribers.items()},
            followed={name: each.ids for name, each in self.followers.items()},
            statuses=_statuses(self.targets.stack),
            requests=[*self.receivers.requests()],
            before=self.before,
            disabled=self.disabled,
            recoveries=self.recoveries,
        )

    def _subscribe(self, name: str) -> str:
        endpoint = ENDPOINTS[name]
        subscriber = self.subscribers[endpoint.client]
        created = subscriber.subscribe(self.receivers.url(name), [*endpoint.statuses])
        self.receivers.know(name, created["secret"])
        return str(created["id"])

    def _post(self, first: int, end: threading.Event) -> None:
        begin, number = time.monotonic(), first
        while not end.wait(max(0.0, begin + number / self.plan.rate - time.monotonic())):
            group = [*GROUPS][number % len(GROUPS)]
            self.clients[GROUPS[group]].post(group, [self._message(group, number)])
            with self._counting:
                self.posted[group] += 1
            number += _POSTERS

    def _message(self, group: str, number: int) -> dict[str, Any]:
        message: dict[str, Any] = {
            "to": f"+1415{2_000_000 + number}",
            "body": f"{group} {number}",
            "resend_if_unknown": True,
        }
        only = {"webhook_endpoint": self.endpoint_ids[NARROW]} if group == NARROW else {}
        return {**message, **only}

    def _let_fail(self) -> None:
        for name, endpoint in ENDPOINTS.items():
            self.receivers.become(name, endpoint.habit)
        until = time.monotonic() + self.plan.down
        for name, seconds in self.plan.disturbances:
            self.log(f"  disturbance: {name} ({seconds:g} s)")
            disturb(self.targets, name, seconds)
            time.sleep(self.plan.pause)
        time.sleep(max(0.0, until - time.monotonic()))

    def _open(self) -> int:
        shown = [message for client in self.clients.values() for message in client.messages()]
        return sum(message["status"] not in FINAL for message in shown)

    def _recover(self, name: str, missing: int) -> Recovery:
        subscriber = self.subscribers[ENDPOINTS[name].client]
        endpoint_id, at = self.endpoint_ids[name], time.time()
        if (reason := subscriber.endpoints()[endpoint_id]["disabled_reason"]) is not None:
            self.disabled[name] = reason
            subscriber.enable(endpoint_id)
        recovered = subscriber.recover(endpoint_id, self.since)
        self.log(f"    {name}: {missing} missing, {recovered} recovered")
        return Recovery(missing, recovered, at)


def run(plan: Plan, log: Log = print) -> Result:
    """Run a plan and compare. Raises RuntimeError when a process does not start again."""
    start = time.monotonic()
    with ExitStack() as resources:
        targets = resources.enter_context(started(plan.simulator, plans.SETTINGS))
        stack = targets.stack
        _start_second_worker(stack)
        log(f"seed {plan.seed}; process logs and books in {stack.directory}")
        books = resources.enter_context(receivers([*ENDPOINTS], stack.directory))
        resources.enter_context(service_manager(stack, log))
        current = _Run(plan, targets, books, log)
        current.traffic()
        current.settle()
        current.recover()
        evidence = current.evidence()
        seconds = time.monotonic() - start
        return Result(
            verdict.judge(evidence), verdict.totals(evidence), stack.flask("audit"), seconds
        )


def _start_second_worker(stack: Stack) -> None:
    first = stack.commands["worker-webhooks"]
    stack.commands[plans.SECOND_WORKER] = (*first[: first.index("-n")], "-n", "webhooks-2@%h")
    stack.start(plans.SECOND_WORKER)


def _statuses(stack: Stack) -> Mapping[str, str]:
    """Return the status of the message when each event was added, by event id."""
    engine = create_engine(stack.environment["DATABASE_URL"].replace("://", "+psycopg://", 1))
    with engine.connect() as connection:
        rows = connection.execute(select(Event.id, Event.status))
        statuses = {f"evt_{row.id}": str(row.status) for row in rows}
    engine.dispose()
    return statuses
