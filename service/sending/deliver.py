"""Sends due messages to their providers, many at a time, and records the answers.

A send with an unknown outcome is never repeated. No database connection is held during a call.
"""

import logging
import time
from collections.abc import Iterator
from concurrent.futures import FIRST_COMPLETED, Future, wait
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import partial
from typing import Final

from sqlalchemy.exc import SQLAlchemyError

from service.components import Components, components
from service.database.errors import is_retryable
from service.domain.report import StatusReport
from service.errors import Blocked, NoRoute, NotAccepted, OutcomeUnknown, ProviderError
from service.holds.match import Subject
from service.models import Message
from service.observability import tracing
from service.observability.metrics import counting
from service.recording.answers import Answer
from service.sending import expiry
from service.sending.alternatives import behind
from service.sending.claim import Claim, claim
from service.sending.results import record_or_store
from service.task_queue.queue import DELIVER

# Seconds to wait for answers before more messages are claimed: some may have been posted.
_POLL: Final = 0.05
# Seconds to wait for more answers after the first: those that come together are recorded together.
_LINGER: Final = 0.005

_log = logging.getLogger(__name__)


def deliver() -> int:
    """Send due messages until none are left, or time is up; return how many."""
    delivery = Delivery()
    try:
        components().queue.run_once(DELIVER, delivery.step)
    finally:
        delivery.finish()
    return delivery.started


class Delivery:
    """The calls of one delivery that are under way, and their answers."""

    def __init__(self) -> None:
        self.started = 0
        self._under_way = set[Future[Answer]]()
        self._answers = list[Answer]()

    def step(self) -> bool:
        """Claim, start calls, record answers; return whether there may be more to do."""
        calls = _start_calls()
        self.started += len(calls)
        self._under_way |= calls
        return self._record_and_wait()

    def finish(self) -> None:
        """Wait for the calls that are under way. Each frees a slot: others may be waiting."""
        while self._answers or self._under_way:
            self._record_and_wait()
            if self._answers:
                components().queue.request(DELIVER)

    def _record_and_wait(self) -> bool:
        """Record the last answers while the next calls are under way, then wait for more."""
        recorded = len(self._answers)  # some of these messages may be due again
        record_or_store(self._answers)
        self._answers, self._under_way = _await_some(self._under_way)
        return bool(recorded or self._answers or self._under_way)


def _start_calls() -> set[Future[Answer]]:
    """Claim as many due messages as there are free call slots, and start their calls."""
    bound, claims = components(), list[Claim]()
    slots = bound.call_slots.reserve()
    try:
        claims = claim(slots) if slots else []
    except SQLAlchemyError as error:
        if not is_retryable(error):
            raise
        _log.warning("no messages claimed: database unavailable (%s)", type(error).__name__)
    finally:
        bound.call_slots.release(slots - len(claims))
    if claims and len(claims) == slots:
        bound.queue.request(DELIVER)  # a backlog: other processes may have free slots
    return {bound.call_slots.start(partial(_call, bound, claimed)) for claimed in claims}


def _call(bound: Components, claimed: Claim) -> Answer:
    """Make the call, in a thread of the call slots. Raises nothing."""
    if claimed.is_over:
        error = NotAccepted("the call did not begin in time")
        return _answer_to(claimed, error=error)._replace(began=False)
    try:
        with bound.context(), _measured(claimed):
            account = bound.account(claimed.message.provider, claimed.message.account)
            report = account.send(expiry.with_time_left(claimed.outbound, claimed.message))
    except ProviderError as error:
        with bound.context():
            return _answer_to(claimed, error=error)
    except Exception as error:
        _log.exception("a call to %s failed unexpectedly", claimed.message.provider)
        return _answer_to(claimed, error=OutcomeUnknown(f"no answer ({type(error).__name__})"))
    return _answer_to(claimed, report)


@contextmanager
def _measured(claimed: Claim) -> Iterator[None]:
    message = claimed.message
    with (
        counting.send(message.provider, _due_since(message)),
        tracing.sending(message.id, claimed.outbound.attempt_id, message.provider),
    ):
        yield


def _due_since(message: Message) -> datetime:
    """Return when the message was due: at its `send_at` if we held it, else when it was posted.

    Posted or sent again, whichever is later.
    """
    posted = message.resent_at or message.created_at
    if message.send_at is None or message.send_at > datetime.now(UTC):
        return posted
    return max(posted, message.send_at)


def _await_some(
    under_way: set[Future[Answer]],
) -> tuple[list[Answer], set[Future[Answer]]]:
    """Wait for answers; return those that came, and the calls that are still under way."""
    if wait(under_way, timeout=_POLL, return_when=FIRST_COMPLETED).done:
        time.sleep(_LINGER)
    ended = {future for future in under_way if future.done()}
    return [future.result() for future in ended], under_way - ended


def _answer_to(
    claim: Claim, report: StatusReport | None = None, error: ProviderError | None = None
) -> Answer:
    message, outbound = claim.message, claim.outbound
    return Answer(
        message_id=message.id,
        client_id=message.client_id,
        provider=message.provider,
        attempt_id=outbound.attempt_id,
        attempt=outbound.attempt,
        account=message.account,
        tries=message.tries,
        holds=claim.holds,
        held_value=Subject.of(message).value(error.scope) if isinstance(error, Blocked) else "",
        to_next=isinstance(error, NoRoute) and bool(behind(message, claim.owners)),
        answered_at=datetime.now(UTC),
        expires_at=message.expires_at,
        report=report,
        error=error,
    )
