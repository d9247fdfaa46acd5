"""Deliver: hand due messages to their providers, many at once, and record what they answer.

An unknown outcome is never repeated, and no connection is held while a provider is asked.
"""

import logging
import random
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from functools import partial
from threading import Lock
from typing import Any, Final, NamedTuple
from uuid import UUID

from service import journal, tracing
from service.domain.report import Source, StatusReport
from service.domain.status import Status
from service.errors import GAVE_UP, NotAccepted, OutcomeUnknown, ProviderError, Refused
from service.extensions import PASSING, Parts, parts, transaction
from service.flows import recording
from service.flows.claiming import Claim, claim
from service.flows.patience import patience
from service.metrics import counting
from service.models import Message
from service.queue import DELIVER
from service.store import attempts, ledger, messages

# A delivery claims no more after this long and wakes the next: no shutdown meets a long task.
_LONGEST: Final = 3.0
# Several that claim in one process would share its lines, a few for each, and every few cost a
# claim: seven of them spent half of the processor's time on it. Whoever finds one at work waits
# this long for its end, for it may have looked for the last time already.
_claiming: Final = Lock()
_HANDOVER: Final = 0.2
# While calls are under way somebody may post: so often it is looked.
_LOOK: Final = 0.05
# Answers that come close together are recorded together.
_LINGER: Final = 0.005
# How long answers are held for a database that does not take them; then their claims expire.
_PAUSES: Final = (0.0, 0.5, 1.0, 2.0, 4.0)
_LONGEST_PAUSE: Final = 60.0

_log = logging.getLogger(__name__)


class Answer(NamedTuple):
    """How the call for one claim ended: with a report, or with an error."""

    claim: Claim
    report: StatusReport | None
    error: ProviderError | None = None


def deliver() -> int:
    """Hand over what is due until nothing is, or time is up; return how many messages.

    One delivery claims at a time in a process, and wakes its successor; a backlog calls those of
    other processes to help.
    """
    if not _claiming.acquire(timeout=_HANDOVER):
        return 0
    try:
        handed_over, ended, under_way = _hand_over(time.monotonic() + _LONGEST)
    finally:
        _claiming.release()
    if not (ended or under_way):
        return handed_over
    while ended or under_way:
        _settle_patiently(ended)
        ended, under_way = _await_some(under_way)
    parts().queue.wake(DELIVER)  # the next may have found every line taken, and gone
    return handed_over


def _hand_over(until: float) -> tuple[int, list[Answer], set[Future[Answer]]]:
    """Return how many messages were claimed, answers to be recorded, and calls under way."""
    queue, handed_over = parts().queue, 0
    ended, under_way, awake = list[Answer](), set[Future[Answer]](), True
    queue.keep_awake(DELIVER)
    while time.monotonic() < until:
        started = _start_due()
        handed_over, under_way = handed_over + len(started), under_way | started
        _settle_patiently(ended)  # while the next calls are under way: the lines never rest
        ended, under_way = _await_some(under_way)
        if ended or under_way:
            continue
        if not awake:
            return handed_over, ended, under_way
        queue.sleep(DELIVER)  # and look again: what came before this woke nobody
        awake = False
    queue.enqueue(DELIVER)
    return handed_over, ended, under_way


def _start_due() -> set[Future[Answer]]:
    """Claim as many due messages as there are free lines, and start their calls."""
    bound, claims = parts(), list[Claim]()
    lines = bound.lines.reserve()
    try:
        claims = claim(lines) if lines else []
    except PASSING as error:
        _log.warning("nothing is claimed: no answer of the database (%s)", type(error).__name__)
    finally:
        bound.lines.release(lines - len(claims))
    if claims and len(claims) == lines:
        bound.queue.call_help(DELIVER)
    return {bound.lines.start(partial(_call, bound, one)) for one in claims}


def _call(bound: Parts, one: Claim) -> Answer:
    """Make the call, in a thread of its own. Raises nothing."""
    if one.is_over:
        return Answer(one, None, NotAccepted("the call did not begin while the claim was ours"))
    try:
        with bound.context(), _watched(one):
            report = bound.provider(one.message.provider).send(one.outbound)
    except ProviderError as error:
        return Answer(one, None, error)
    except Exception as error:
        _log.exception("a call to %s failed in an unknown way", one.message.provider)
        return Answer(one, None, OutcomeUnknown(f"no answer ({type(error).__name__})"))
    return Answer(one, report)


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


def _settle_patiently(answers: Sequence[Answer]) -> None:
    if not answers:
        return
    for pause in _PAUSES:
        time.sleep(pause)
        try:
            _settle_each(answers)
            return
        except PASSING as error:
            _log.warning("answers wait for the database (%s)", type(error).__name__)
    _log.error("%d answers could not be recorded; their claims will expire", len(answers))


def _settle_each(answers: Sequence[Answer]) -> None:
    """Record answers together, or each alone when one of them cannot be."""
    try:
        settle(answers)
    except PASSING:
        raise
    except Exception:
        if len(answers) == 1:
            _log.exception("an answer could not be recorded; its claim will expire")
            return
        for one in answers:
            _settle_each([one])


def settle(answers: Sequence[Answer]) -> None:
    """Record how calls ended, in one transaction.

    Messages first, in the order of their ids, then attempts: as a drain does. Any other order
    deadlocks with a callback that came early.
    """
    now = datetime.now(UTC)
    with transaction():
        rows = ledger.lock_outcomes(one.claim.message.id for one in answers)
        recording.apply([report for one in answers if (report := _said(one, now))])
        for one in answers:
            _leave(one, now)
        attempts.answer([_answered(one, now, rows) for one in answers])
    for one in answers:
        journal.answered(one.claim.message, one.claim.outbound, one.report, one.error)


def _said(answer: Answer, now: datetime) -> StatusReport | None:
    """Return the statement that an answer is; None where it leaves the message unfinished."""
    message, error = answer.claim.message, answer.error
    if error is None:
        return answer.report
    said = partial(
        StatusReport,
        provider=message.provider,
        source=Source.API,
        status=Status.FAILED,
        received_at=now,
        error_message=error.message,
        raw=error.raw,
    )
    if isinstance(error, Refused):
        attempt_id = answer.claim.outbound.attempt_id
        return said(word="refused", error_code=error.code, attempt_id=attempt_id)
    if isinstance(error, NotAccepted) and _is_last(answer):
        # Our own verdict names no attempt: anything the provider says later outranks it.
        return said(word=GAVE_UP, error_code=GAVE_UP, message_id=message.id)
    return None


def _leave(answer: Answer, now: datetime) -> None:
    """Let a message wait for another attempt, or for the end of its doubt."""
    message, outbound = answer.claim.message, answer.claim.outbound
    leave = partial(messages.leave_submitting, message.id, outbound.attempt, updated_at=now)
    if isinstance(answer.error, NotAccepted) and not _is_last(answer):
        then = now + _pause(outbound.attempt)
        leave(status=Status.PENDING, due_at=then, submitted_at=None)
    elif isinstance(answer.error, OutcomeUnknown):
        pause = timedelta(seconds=patience(message.provider).first_lookup)
        leave(status=Status.IN_DOUBT, check_at=now + pause)


def _is_last(answer: Answer) -> bool:
    most = patience(answer.claim.message.provider).attempts
    return answer.claim.outbound.attempt >= most


_WORDS: Final = {Refused: "refused", NotAccepted: "not_accepted", OutcomeUnknown: "unknown"}


def _answered(answer: Answer, now: datetime, rows: Mapping[UUID, Any]) -> dict[str, Any]:
    error, row = answer.error, rows.get(answer.claim.message.id)
    # A callback may have ended the message already, and a sweep redacted it.
    quoted = error and (row is None or row.redacted_at is None)
    return {
        "key": answer.claim.outbound.attempt_id,
        "answer": "accepted" if error is None else _WORDS[type(error)],
        "answer_code": error.code if error else None,
        "answer_text": error.message if error and quoted else None,
        "answered_at": now,
    }


def _pause(attempt: int) -> timedelta:
    """Return how long to wait: doubling from a second, with jitter so that a crowd disperses."""
    longest = min(_LONGEST_PAUSE, 2.0 ** (attempt - 1))
    return timedelta(seconds=random.uniform(longest / 2, longest))
