"""Records how calls to providers ended, and releases their claims."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from uuid import UUID

from service.components import components
from service.database import transaction
from service.domain.deadline import before_deadline
from service.domain.report import Source, StatusReport
from service.domain.status import Status
from service.errors import Blocked, NoRoute, NotAccepted, OutcomeUnknown, Refused
from service.holds import blocks
from service.holds.key import Key
from service.observability import events
from service.queries import attempts, ledger, messages
from service.recording import record
from service.recording.answers import WORDS, Answer
from service.retry_policy import backoff, retry_policy
from service.task_queue.queue import DELIVER

# As the time of the first try: the next claim moves the message to the next provider.
_LONG_AGO: Final = datetime(1970, 1, 1, tzinfo=UTC)


def record_answers(answers: Sequence[Answer]) -> None:
    """Record how calls ended, in one transaction.

    Locks messages first, by id, then attempts, as `record` does: any other order can deadlock with
    the callbacks of the same messages.
    """
    now = datetime.now(UTC)
    with transaction():
        rows = ledger.lock_outcomes(answer.message_id for answer in answers)
        record.apply([report for answer in answers if (report := _report(answer))], rows)
        # Holds are opened in the same order everywhere: otherwise two processes can deadlock.
        ordered = sorted(answers, key=lambda answer: (answer.provider, answer.account))
        released = {answer.attempt_id for answer in ordered if _release(answer, now)}
        attempts.answer([_answered(answer, rows, released) for answer in answers])
        ended = _end_holds(answers, now)
    for answer in answers:
        _log(answer)
    if ended:
        components().queue.request(DELIVER)


def _report(answer: Answer) -> StatusReport | None:
    """Return the report in an answer; None if the message is to be sent again or is in doubt."""
    error = answer.error
    if error is None:
        return answer.report
    if not isinstance(error, Refused) or answer.to_next:
        return None
    return StatusReport(
        provider=answer.provider,
        source=Source.API,
        word="refused",
        status=Status.FAILED,
        received_at=answer.answered_at,
        attempt_id=answer.attempt_id,
        error_code=error.code,
        error_message=error.message,
        raw=error.raw,
    )


def _release(answer: Answer, now: datetime) -> bool:
    """Release the claim; return whether the message waits for an attempt in place of this one."""
    error = answer.error
    if isinstance(error, OutcomeUnknown):
        check_at = now + timedelta(seconds=retry_policy(answer.provider).first_lookup)
        doubt = {"status": Status.IN_DOUBT, "check_at": check_at, "updated_at": now}
        messages.leave_submitting(answer.message_id, answer.attempt_id, answer.attempt, **doubt)
        return False
    if not isinstance(error, NotAccepted | Blocked | NoRoute):
        return False
    if isinstance(error, NoRoute) and not answer.to_next:
        return False
    return messages.leave_untried(
        answer.message_id,
        answer.attempt_id,
        answer.attempt,
        due_at=before_deadline(_next_try(answer, now), answer),
        tried_since=_LONG_AGO if answer.to_next else now,
        now=now,
    )


def _next_try(answer: Answer, now: datetime) -> datetime:
    """Return when the message is due again, and note what its answer says about others."""
    error, tries = answer.error, answer.tries + 1
    if isinstance(error, Blocked):
        key = Key(error.scope, answer.provider, answer.account, answer.held_value)
        if blocks.block(key, error.code, answer.message_id, now):
            return now  # the next claim finds the hold
        return now + backoff(tries)
    if isinstance(error, NotAccepted):
        if answer.began:
            blocks.not_accepting(answer.provider, answer.account, error, now)
        return now + backoff(tries, error.retry_after)
    return now


def _end_holds(answers: Sequence[Answer], now: datetime) -> int:
    """End the holds in spite of which a provider accepted a message; return how many."""
    passed = {
        hold: answer.message_id
        for answer in answers
        if answer.error is None
        for hold in answer.holds
    }
    return blocks.accepted(passed, now)


def _answered(answer: Answer, rows: Mapping[UUID, Any], released: set[UUID]) -> dict[str, Any]:
    error, row = answer.error, rows.get(answer.message_id)
    # A callback may have ended the message meanwhile, and it may be redacted already.
    keep_text = error and (row is None or row.redacted_at is None)
    return {
        "key": answer.attempt_id,
        # An attempt without an effect gives its number to the next one.
        "number": -(answer.tries + 1) if answer.attempt_id in released else answer.attempt,
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
