"""Settle: record how calls to providers ended, many in one transaction, and what comes of each."""

import logging
import random
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any, Final, NamedTuple
from uuid import UUID

from service import journal
from service.domain.report import Source, StatusReport
from service.domain.status import Status
from service.errors import GAVE_UP, NotAccepted, OutcomeUnknown, ProviderError, Refused
from service.extensions import PASSING, transaction
from service.flows import expiry, recording
from service.flows.claiming import Claim
from service.flows.patience import patience
from service.store import attempts, ledger, messages

# How long answers are held for a database that does not take them; then their claims expire.
_PAUSES: Final = (0.0, 0.5, 1.0, 2.0, 4.0)
_LONGEST_PAUSE: Final = 60.0

_log = logging.getLogger(__name__)


class Answer(NamedTuple):
    """How the call for one claim ended: with a report, or with an error."""

    claim: Claim
    report: StatusReport | None
    error: ProviderError | None = None


def settle_patiently(answers: Sequence[Answer]) -> None:
    """Record answers, and wait for a database that does not take them, but not for ever."""
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
        recording.apply([report for one in answers if (report := _said(one, now))], rows)
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
    if isinstance(error, NotAccepted) and _is_last(answer, now):
        # Our own verdict names no attempt: anything the provider says later outranks it.
        return said(word=GAVE_UP, error_code=GAVE_UP, message_id=message.id)
    return None


def _leave(answer: Answer, now: datetime) -> None:
    """Let a message wait for another attempt, or for the end of its doubt."""
    message, outbound = answer.claim.message, answer.claim.outbound
    leave = partial(messages.leave_submitting, message.id, outbound.attempt, updated_at=now)
    if isinstance(answer.error, NotAccepted) and not _is_last(answer, now):
        then = expiry.within(now + _pause(outbound.attempt), message)
        leave(status=Status.PENDING, due_at=then, submitted_at=None)
    elif isinstance(answer.error, OutcomeUnknown):
        pause = timedelta(seconds=patience(message.provider).first_lookup)
        leave(status=Status.IN_DOUBT, check_at=now + pause)


def _is_last(answer: Answer, now: datetime) -> bool:
    message = answer.claim.message
    if expiry.is_past(message, now):
        return False  # the next claim expires it
    return answer.claim.outbound.attempt >= patience(message.provider).attempts


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
