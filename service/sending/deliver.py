"""Deliver: hand due messages to their providers, many at once, and record what they answer.

An unknown outcome is never repeated, and no connection is held while a provider is asked.
"""

import logging
import time
from collections.abc import Iterator
from concurrent.futures import FIRST_COMPLETED, Future, wait
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import partial
from threading import Lock
from typing import Final

from sqlalchemy.exc import SQLAlchemyError

from service.components import Components, components
from service.database.errors import is_retryable
from service.domain.report import StatusReport
from service.errors import NotAccepted, OutcomeUnknown, ProviderError
from service.models import Message
from service.observability import tracing
from service.observability.metrics import counting
from service.recording.answers import Answer
from service.sending import expiry
from service.sending.claim import Claim, claim
from service.sending.results import record_or_store
from service.task_queue.queue import DELIVER

# A delivery claims no more after this long and wakes the next: no shutdown meets a long task.
_LONGEST: Final = 3.0
# Several that claim in one process would share its lines, a few for each, and every few cost a
# claim: seven of them spent half of the processor's time on it. One is at work, and one waits.
_claiming: Final = Lock()
_next: Final = Lock()
# Longer than any delivery claims: its statements end after 10 s (app.py).
_PATIENCE: Final = 60.0
# While calls are under way somebody may post: so often it is looked.
_LOOK: Final = 0.05
# Answers that come close together are recorded together.
_LINGER: Final = 0.005

_log = logging.getLogger(__name__)


def deliver() -> int:
    """Hand over what is due until nothing is, or time is up; return how many messages.

    One delivery claims at a time in a process, and wakes its successor; a backlog calls those of
    other processes to help.
    """
    if not _took_turn():
        return 0
    delivery = Delivery()
    try:
        try:
            delivery.hand_over(time.monotonic() + _LONGEST)
        finally:
            _claiming.release()
    finally:
        delivery.finish()
    return delivery.handed_over


def _took_turn() -> bool:
    """Wait for the delivery that is at work, unless another waits already: it looks for us, too.

    Nobody leaves who might have been the only one to see a message: whoever is at work may have
    looked for the last time.
    """
    if not _next.acquire(blocking=False):
        return False
    try:
        return _claiming.acquire(timeout=_PATIENCE)
    finally:
        _next.release()


class Delivery:
    """The calls that one delivery has under way, and their answers."""

    def __init__(self) -> None:
        self.handed_over = 0
        self._under_way = set[Future[Answer]]()
        self._ended = list[Answer]()

    def hand_over(self, until: float) -> None:
        """Claim and call until nothing is due; at the end of its time wake a successor."""
        queue, awake = components().queue, True
        queue.keep_awake(DELIVER)
        while time.monotonic() < until:
            started = _start_due()
            self.handed_over += len(started)
            self._under_way |= started
            if self._go_on():
                continue
            if not awake:
                return
            queue.sleep(DELIVER)  # and look again: what came before this woke nobody
            awake = False
        queue.enqueue(DELIVER)

    def finish(self) -> None:
        """Wait for the calls that are left; for each line that gets free others may be waiting."""
        while self._ended or self._under_way:
            self._go_on()
            if self._ended:
                components().queue.wake(DELIVER)

    def _go_on(self) -> bool:
        """Record answers and wait for more; return whether there is anything to wait for."""
        # While the next calls are under way: the lines never rest.
        record_or_store(self._ended)
        self._ended, self._under_way = _await_some(self._under_way)
        return bool(self._ended or self._under_way)


def _start_due() -> set[Future[Answer]]:
    """Claim as many due messages as there are free lines, and start their calls."""
    bound, claims = components(), list[Claim]()
    lines = bound.call_slots.reserve()
    try:
        claims = claim(lines) if lines else []
    except SQLAlchemyError as error:
        if not is_retryable(error):
            raise
        _log.warning("nothing is claimed: no answer of the database (%s)", type(error).__name__)
    finally:
        bound.call_slots.release(lines - len(claims))
    if claims and len(claims) == lines:
        bound.queue.call_help(DELIVER)
    return {bound.call_slots.start(partial(_call, bound, one)) for one in claims}


def _call(bound: Components, one: Claim) -> Answer:
    """Make the call, in a thread of its own. Raises nothing."""
    if one.is_over:
        late = NotAccepted("the call did not begin in time")
        return _answer_to(one, error=late)
    try:
        with bound.context(), _watched(one):
            report = bound.provider(one.message.provider).send(
                expiry.with_time_left(one.outbound, one.message)
            )
    except ProviderError as error:
        return _answer_to(one, error=error)
    except Exception as error:
        _log.exception("a call to %s failed in an unknown way", one.message.provider)
        unknown = OutcomeUnknown(f"no answer ({type(error).__name__})")
        return _answer_to(one, error=unknown)
    return _answer_to(one, report)


@contextmanager
def _watched(one: Claim) -> Iterator[None]:
    message = one.message
    with (
        counting.send(message.provider, _wanted_since(message)),
        tracing.sending(message.id, one.outbound.attempt_id, message.provider),
    ):
        yield


def _wanted_since(message: Message) -> datetime:
    """Return since when the message was to go out: when it came, or its time where we held it."""
    if message.send_at is None or message.send_at > datetime.now(UTC):
        return message.created_at
    return max(message.created_at, message.send_at)


def _await_some(
    under_way: set[Future[Answer]],
) -> tuple[list[Answer], set[Future[Answer]]]:
    """Wait a little for answers; return those that came, and the calls still under way."""
    if wait(under_way, timeout=_LOOK, return_when=FIRST_COMPLETED).done:
        time.sleep(_LINGER)
    ended = {future for future in under_way if future.done()}
    return [future.result() for future in ended], under_way - ended


def _answer_to(
    claim: Claim, report: StatusReport | None = None, error: ProviderError | None = None
) -> Answer:
    """Return the answer to the call for a claim."""
    message, outbound = claim.message, claim.outbound
    return Answer(
        message_id=message.id,
        client_id=message.client_id,
        provider=message.provider,
        attempt_id=outbound.attempt_id,
        attempt=outbound.attempt,
        answered_at=datetime.now(UTC),
        expires_at=message.expires_at,
        report=report,
        error=error,
    )
