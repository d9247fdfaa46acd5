"""Settle: record how calls to providers ended, many in one transaction, and what comes of each."""

import logging
import random
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any, Final
from uuid import UUID

from service.components import components
from service.database import transaction
from service.database.errors import is_retryable
from service.domain.report import Source, StatusReport
from service.domain.status import Status
from service.errors import GAVE_UP, InboxUnavailable, NotAccepted, OutcomeUnknown, Refused
from service.observability import events
from service.queries import attempts, ledger, messages
from service.recording import record
from service.sending import expiry
from service.sending.answers import WORDS, Answer, packed
from service.sending.retry_policy import retry_policy
from service.task_queue.queue import DRAIN

_LONGEST_PAUSE: Final = 60.0
# Between two tries, while neither the database nor the inbox takes an answer.
_PAUSE: Final = 0.5
# A provider that asks for more is asked again all the same: a slip must not hold messages for days.
_LONGEST_RETRY_AFTER: Final = 3600.0

_log = logging.getLogger(__name__)


def settle_or_store(answers: Sequence[Answer]) -> None:
    """Record answers; what the database does not take goes into the inbox, and is recorded later.

    While both are away the answers are held here, until their claims are over.
    """
    until = time.monotonic() + components().settings.claim_lease
    waiting = _store(_unsettled(answers))
    while waiting and time.monotonic() < until:
        time.sleep(_PAUSE)
        waiting = _store(_unsettled(waiting))
    if waiting:
        _log.error("%d answers are lost; their messages will be in doubt", len(waiting))


def _unsettled(answers: Sequence[Answer]) -> Sequence[Answer]:
    """Record answers together, or each alone when one of them cannot be; return the others."""
    if not answers:
        return ()
    try:
        settle(answers)
        return ()
    except Exception as error:
        if len(answers) > 1 and not is_retryable(error):
            return [left for answer in answers for left in _unsettled([answer])]
        log = _log.warning if is_retryable(error) else _log.exception
        log("%d answers are not recorded (%s)", len(answers), type(error).__name__)
        return answers


def _store(answers: Sequence[Answer]) -> Sequence[Answer]:
    """Put answers into the inbox; return those that it did not take."""
    for place, answer in enumerate(answers):
        try:
            components().inbox.put(packed(answer))
        except InboxUnavailable as error:
            _log.warning("the inbox takes no answers either (%s)", error)
            return answers[place:]
    if answers:
        components().queue.ring(DRAIN)
    return ()


def settle(answers: Sequence[Answer]) -> None:
    """Record how calls ended, in one transaction.

    Messages first, in the order of their ids, then attempts: as a drain does. Any other order
    deadlocks with a callback that came early.
    """
    now = datetime.now(UTC)
    with transaction():
        rows = ledger.lock_outcomes(answer.message_id for answer in answers)
        record.apply([report for answer in answers if (report := _said(answer))], rows)
        for one in answers:
            _leave(one, now)
        attempts.answer([_answered(answer, rows) for answer in answers])
    for one in answers:
        events.answered(one)


def _said(answer: Answer) -> StatusReport | None:
    """Return the statement that an answer is; None where it leaves the message unfinished."""
    error = answer.error
    if error is None:
        return answer.report
    said = partial(
        StatusReport,
        provider=answer.provider,
        source=Source.API,
        status=Status.FAILED,
        received_at=answer.answered_at,
        error_message=error.message,
        raw=error.raw,
    )
    if isinstance(error, Refused):
        return said(word="refused", error_code=error.code, attempt_id=answer.attempt_id)
    if isinstance(error, NotAccepted) and _is_last(answer):
        # Our own verdict names no attempt: anything the provider says later outranks it.
        return said(word=GAVE_UP, error_code=GAVE_UP, message_id=answer.message_id)
    return None


def _leave(answer: Answer, now: datetime) -> None:
    """Let a message wait for another attempt, or for the end of its doubt."""
    leave = partial(messages.leave_submitting, answer.message_id, answer.attempt, updated_at=now)
    if isinstance(answer.error, NotAccepted) and not _is_last(answer):
        pause = _pause(answer.attempt, answer.error.retry_after)
        then = expiry.within(now + pause, answer)
        leave(status=Status.PENDING, due_at=then, submitted_at=None)
    elif isinstance(answer.error, OutcomeUnknown):
        pause = timedelta(seconds=retry_policy(answer.provider).first_lookup)
        leave(status=Status.IN_DOUBT, check_at=now + pause)


def _is_last(answer: Answer) -> bool:
    if expiry.is_past(answer, datetime.now(UTC)):
        return False  # the next claim expires it
    return answer.attempt >= retry_policy(answer.provider).attempts


def _answered(answer: Answer, rows: Mapping[UUID, Any]) -> dict[str, Any]:
    error, row = answer.error, rows.get(answer.message_id)
    # A callback may have ended the message already, and a sweep redacted it.
    quoted = error and (row is None or row.redacted_at is None)
    return {
        "key": answer.attempt_id,
        "answer": "accepted" if error is None else WORDS[type(error)],
        "answer_code": error.code if error else None,
        "answer_text": error.message if error and quoted else None,
        "answered_at": answer.answered_at,
    }


def _pause(attempt: int, retry_after: float | None = None) -> timedelta:
    """Return how long to wait: doubling from a second, with jitter so that a crowd disperses.

    All of that comes after the time that the provider asks for, within reason.
    """
    longest = min(_LONGEST_PAUSE, 2.0 ** (attempt - 1))
    asked_for = min(retry_after or 0.0, _LONGEST_RETRY_AFTER)
    return timedelta(seconds=asked_for + random.uniform(longest / 2, longest))
