"""Delivers what is owed to webhook endpoints, many calls at a time, each at least once.

No database connection is held during a call. A worker that dies leaves its deliveries due again.
"""

import logging
import time
from concurrent.futures import FIRST_COMPLETED, Future, wait
from datetime import UTC, datetime
from functools import partial
from typing import Final

from sqlalchemy.exc import SQLAlchemyError

from service.components import Components, components
from service.database.errors import is_retryable
from service.task_queue.queue import NOTIFY
from service.webhook_client.client import Answer
from service.webhooks import signature
from service.webhooks.claim import Call, claim
from service.webhooks.results import Result, record_or_drop

# Seconds to wait for answers before more deliveries are claimed, and for more after the first.
_POLL: Final = 0.05
_LINGER: Final = 0.005
_HEADERS: Final = {"Content-Type": "application/json", "User-Agent": "waybill"}

_log = logging.getLogger(__name__)


def deliver() -> None:
    """Deliver what is due until nothing is left, or time is up."""
    delivery = Delivery()
    try:
        components().queue.run_once(NOTIFY, delivery.step)
    finally:
        delivery.finish()


class Delivery:
    """The calls of one run that are under way, and their results."""

    def __init__(self) -> None:
        self._under_way = set[Future[Result]]()
        self._results = list[Result]()

    def step(self) -> bool:
        """Record results, claim, start calls; return whether there may be more to do."""
        recorded = self._record()  # before the claim: an endpoint may fail now
        self._under_way |= _start_calls()
        self._await_some()
        return bool(recorded or self._results or self._under_way)

    def finish(self) -> None:
        """Wait for the calls that are under way. Each frees a slot: others may be waiting."""
        while self._results or self._under_way:
            if self._record():
                components().queue.request(NOTIFY)
            self._await_some()

    def _record(self) -> int:
        """Record the last results; return how many there were."""
        results, self._results = self._results, []
        record_or_drop(results)
        return len(results)

    def _await_some(self) -> None:
        if wait(self._under_way, timeout=_POLL, return_when=FIRST_COMPLETED).done:
            time.sleep(_LINGER)
        ended = {future for future in self._under_way if future.done()}
        self._under_way -= ended
        self._results = [future.result() for future in ended]


def _start_calls() -> set[Future[Result]]:
    """Claim due deliveries for the free slots, and start their calls."""
    bound, calls = components(), list[Call]()
    free = bound.webhook_slots.reserve()
    try:
        calls = claim(free, datetime.now(UTC)) if free else []
    except SQLAlchemyError as error:
        if not is_retryable(error):
            raise
        _log.warning("no deliveries claimed: database unavailable (%s)", type(error).__name__)
    finally:
        bound.webhook_slots.release(free - len(calls))
    if calls and len(calls) == free:
        bound.queue.request(NOTIFY)  # a backlog: other processes may have free slots
    return {
        bound.webhook_slots.start(call.endpoint_id, partial(_post, bound, call)) for call in calls
    }


def _post(bound: Components, call: Call) -> Result:
    """Make the call, in a thread of the slots. Raises nothing."""
    began = time.monotonic()
    try:
        answer = _answer(bound, call)
    except Exception as error:
        _log.exception("a call to webhook endpoint %s failed unexpectedly", call.endpoint_id)
        answer = Answer(None, type(error).__name__)
    return Result(call, answer, time.monotonic() - began)


def _answer(bound: Components, call: Call) -> Answer:
    if call.problem is not None:
        return Answer(None, call.problem)
    headers = signature.headers(call.event_id, int(time.time()), call.body, call.secrets)
    return bound.webhook_client.post(call.url, {**headers, **_HEADERS}, call.body)
