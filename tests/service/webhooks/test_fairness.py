"""Endpoints that hang, fail or have a large backlog delay no other, and are not overrun."""

import threading
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from uuid import UUID

import pytest

from service.components import Components, components
from service.webhooks import deliver
from service.webhooks.claim import claim
from tests.service.webhooks.owed import add_endpoints, endpoint_row, let_pass, owe_tests
from tests.service.webhooks.receiver import Received, Receiver

pytestmark = pytest.mark.usefixtures("allowed")


@dataclass
class Hanging:
    """Paths that get no answer until `end` is set."""

    paths: set[str] = field(default_factory=set)
    end: threading.Event = field(default_factory=threading.Event)

    def answer(self, request: Received) -> tuple[int, dict[str, str]]:
        if request.path in self.paths:
            self.end.wait(30)
        return 204, {}


@pytest.fixture
def hanging(endpoint: Receiver) -> Iterator[Hanging]:
    habit = Hanging()
    endpoint.answer = habit.answer
    yield habit
    habit.end.set()


@pytest.mark.slow
def test_ten_of_100_endpoints_hang_and_90_receive(
    client_id: int, endpoint: Receiver, hanging: Hanging
) -> None:
    ids = add_endpoints(client_id, [f"{endpoint.url}/{number}" for number in range(100)])
    hanging.paths |= {f"/hook/{number}" for number in range(10)}
    for place, endpoint_id in enumerate(ids):
        owe_tests(client_id, endpoint_id, 30 if place < 10 else 1)
    delivering = threading.Thread(target=_deliver, args=[components()])
    began = time.monotonic()
    delivering.start()
    working = {f"/hook/{number}" for number in range(10, 100)}
    while not working <= {request.path for request in endpoint.received}:
        # A call that hangs ends after 15 s. A machine that runs other tests needs some seconds.
        assert time.monotonic() < began + 12
        time.sleep(0.01)
    calls = Counter(request.path for request in endpoint.received)
    assert sum(calls[path] for path in hanging.paths) <= 26
    hanging.end.set()
    delivering.join(30)


def test_dead_endpoint_gets_one_call_per_pause(client_id: int, endpoint: Receiver) -> None:
    endpoint.answer = lambda _: (503, {})
    [dead] = add_endpoints(client_id, [endpoint.url])
    owe_tests(client_id, dead, 50)
    deliver.deliver()
    at_first = len(endpoint.received)
    assert at_first <= 8
    for failures in range(2, 5):
        let_pass(400)
        deliver.deliver()
        assert len(endpoint.received) == at_first + failures - 1
        assert endpoint_row(dead).failures == failures


def test_due_deliveries_flow_after_a_probe_succeeds(client_id: int, endpoint: Receiver) -> None:
    endpoint.answer = lambda _: (503, {})
    [down] = add_endpoints(client_id, [endpoint.url])
    owe_tests(client_id, down, 50)
    deliver.deliver()
    endpoint.answer = lambda _: (204, {})
    let_pass(400)
    deliver.deliver()

    delivered = {request.headers["webhook-id"] for request in endpoint.received}
    assert len(delivered) == 50
    assert endpoint_row(down).failing_since is None


def test_failing_endpoint_is_called_by_one_worker(client_id: int, endpoint: Receiver) -> None:
    now = datetime.now(UTC)
    [down] = add_endpoints(client_id, [endpoint.url], failing_since=now, failures=1)
    owe_tests(client_id, down, 5)
    assert len(claim(32, datetime.now(UTC))) == 1
    assert claim(32, datetime.now(UTC)) == []  # of another worker


def test_backlog_leaves_a_turn_to_other_endpoints(client_id: int, endpoint: Receiver) -> None:
    large, small = add_endpoints(client_id, [endpoint.url] * 2)
    owe_tests(client_id, large, 200)
    owe_tests(client_id, small)
    assert Counter[UUID](call.endpoint_id for call in claim(2, datetime.now(UTC)))[small] == 1


def _deliver(bound: Components) -> None:
    with bound.context():
        deliver.deliver()
