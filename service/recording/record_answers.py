"""Records how calls to providers ended, and releases their claims."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any
from uuid import UUID

from service.database import transaction
from service.domain.deadline import before_deadline, is_past_deadline
from service.domain.report import Source, StatusReport
from service.domain.status import Status
from service.errors import GAVE_UP, NotAccepted, OutcomeUnknown, Refused
from service.observability import events
from service.queries import attempts, ledger, messages
from service.recording import record
from service.recording.answers import WORDS, Answer
from service.retry_policy import backoff, retry_policy


def record_answers(answers: Sequence[Answer]) -> None:
    """Record how calls ended, in one transaction.

    Locks messages first, by id, then attempts, as `record` does: any other order can deadlock with
    the callbacks of the same messages.
    """
    now = datetime.now(UTC)
    with transaction():
        rows = ledger.lock_outcomes(answer.message_id for answer in answers)
        record.apply([report for answer in answers if (report := _report(answer))], rows)
        for answer in answers:
            _release(answer, now)
        attempts.answer([_answered(answer, rows) for answer in answers])
    for answer in answers:
        _log(answer)


def _report(answer: Answer) -> StatusReport | None:
    """Return the report in an answer; None if the message is to be sent again or is in doubt."""
    error = answer.error
    if error is None:
        return answer.report
    failed = partial(
        StatusReport,
        provider=answer.provider,
        source=Source.API,
        status=Status.FAILED,
        received_at=answer.answered_at,
        error_message=error.message,
        raw=error.raw,
    )
    if isinstance(error, Refused):
        return failed(word="refused", error_code=error.code, attempt_id=answer.attempt_id)
    if isinstance(error, NotAccepted) and _is_last(answer):
        # Our own verdict names no attempt: any later report of the provider outranks it.
        return failed(word=GAVE_UP, error_code=GAVE_UP, message_id=answer.message_id)
    return None


def _release(answer: Answer, now: datetime) -> None:
    """Release the claim: for another attempt, or for a look-up."""
    leave = partial(messages.leave_submitting, answer.message_id, answer.attempt, updated_at=now)
    if isinstance(answer.error, NotAccepted) and not _is_last(answer):
        due_at = now + backoff(answer.attempt, answer.error.retry_after)
        leave(status=Status.PENDING, due_at=before_deadline(due_at, answer), submitted_at=None)
    elif isinstance(answer.error, OutcomeUnknown):
        delay = timedelta(seconds=retry_policy(answer.provider).first_lookup)
        leave(status=Status.IN_DOUBT, check_at=now + delay)


def _is_last(answer: Answer) -> bool:
    if is_past_deadline(answer, datetime.now(UTC)):
        return False  # the next claim expires it
    return answer.attempt >= retry_policy(answer.provider).attempts


def _answered(answer: Answer, rows: Mapping[UUID, Any]) -> dict[str, Any]:
    error, row = answer.error, rows.get(answer.message_id)
    # A callback may have ended the message meanwhile, and it may be redacted already.
    keep_text = error and (row is None or row.redacted_at is None)
    return {
        "key": answer.attempt_id,
        "answer": "accepted" if error is None else WORDS[type(error)],
        "answer_code": error.code if error else None,
        "answer_text": error.message if error and keep_text else None,
        "answered_at": answer.answered_at,
    }


def _log(answer: Answer) -> None:
    events.answered(
        answer.error,
        answer.report.provider_sid if answer.report else None,
        message_id=answer.message_id,
        attempt_id=answer.attempt_id,
        client_id=answer.client_id,
        provider=answer.provider,
    )
