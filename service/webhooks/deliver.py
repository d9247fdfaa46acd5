"""Delivers what is owed to webhook endpoints, many calls at a time, each at least once.

No database connection is held during a call. A worker that dies leaves its deliveries due again.
"""

import time
from collections import Counter
from concurrent.futures import FIRST_COMPLETED, Future, wait
from datetime import UTC, datetime
from functools import partial
from typing import Final
from uuid import UUID

from service.components import Components, components
from service.task_queue.queue import NOTIFY
from service.webhook_client.client import Answer
from service.webhooks import signature
from service.webhooks.claim import Call, claim
from service.webhooks.results import record_results

# Seconds to wait for answers before more deliveries are claimed, and for more after the first.
_POLL: Final = 0.05
_LINGER: Final = 0.005

Result = tuple[Call, Answer]


def deliver() -> None:
    """Deliver what is due until nothing is left, or time is up."""
    delivery = Delivery()
    try:
        components().queue.run_once(NOTIFY, delivery.step)
    finally:
        delivery.finish()


class Delivery:
    """The calls of one run that are under way."""

    def __init__(self) -> None:
        self._under_way = dict[Future[Result], UUID]()

    def step(self) -> bool:
        """Claim, start calls, record results; return whether there may be more to do."""
        bound = components()
        slots = bound.webhook_slots.reserve()
        calls = list[Call]()
        try:
            most = max(1, bound.settings.webhook_concurrency // 4)
            if slots:
                calls = claim(slots, most, Counter(self._under_way.values()), datetime.now(UTC))
        finally:
            bound.webhook_slots.release(slots - len(calls))
        for call in calls:
            future = bound.webhook_slots.start(partial(_post, bound, call))
            self._under_way[future] = call.endpoint_id
        return self._record_some()

    def finish(self) -> None:
        """Wait for the calls that are under way."""
        while self._under_way:
            self._record_some()

    def _record_some(self) -> bool:
        if wait(self._under_way, timeout=_POLL, return_when=FIRST_COMPLETED).done:
            time.sleep(_LINGER)
        ended = [future for future in self._under_way if future.done()]
        for future in ended:
            del self._under_way[future]
        record_results([future.result() for future in ended])
        return bool(ended or self._under_way)


def _post(bound: Components, call: Call) -> Result:
    """Make the call, in a thread of the slots. Raises nothing."""
    if not call.secrets:
        return call, _UNREADABLE
    headers = signature.headers(call.event_id, int(time.time()), call.body, call.secrets)
    return call, bound.webhook_client.post(call.url, {**headers, **_HEADERS}, call.body)


# The secret is readable again when operators add the missing key.
_UNREADABLE: Final = Answer(
    None, "not called: the signing secret cannot be decrypted, because WEBHOOK_KEYS lacks its key"
)
_HEADERS: Final = {"Content-Type": "application/json", "User-Agent": "waybill"}
