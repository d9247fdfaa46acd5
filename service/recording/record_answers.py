"""Records how calls to providers ended, and releases their claims."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
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
from service.webhooks.owe import owe


def record_answers(answers: Sequence[Answer]) -> None:
    """Record how calls ended, in one transaction. A repeat of an answer changes nothing.

    Locks messages first, by id, then attempts, then holds, as `record` and `claim` do: any other
    order can deadlock with the callbacks of the same messages.
    """
    now = datetime.now(UTC)
    with transaction():
        rows = ledger.lock_outcomes(answer.message_id for answer in answers)
        record.apply([report for answer in answers if (report := _report(answer))], rows)
        numbers = _release(answers, rows, now)
        attempts.answer([_answered(answer, rows, numbers) for answer in answers])
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


def _release(answers: Sequence[Answer], rows: Mapping[UUID, Any], now: datetime) -> dict[UUID, int]:
    """Release the claims of failed calls; return the new numbers of attempts without an effect.

    Clients are told of the beginning and the end of a doubt, not of a claim and its release.
    """
    failed = [answer for answer in answers if answer.error is not None]
    free = attempts.unanswered([answer.attempt_id for answer in failed])
    failed = [answer for answer in failed if answer.attempt_id in free]
    # Holds are opened in the same order everywhere: otherwise two processes can deadlock.
    failed.sort(key=lambda answer: (answer.provider, answer.account))
    _note_not_accepting(failed, now)
    doubtful = [answer for answer in failed if _is_unknown(answer) and _doubt(answer, now)]
    untried = [answer for answer in failed if _retry(answer, now)]
    certain = [answer for answer in untried if _was_in_doubt(rows.get(answer.message_id))]
    owe({answer.message_id for answer in doubtful + certain})
    return {answer.attempt_id: free[answer.attempt_id] for answer in untried}


def _is_unknown(answer: Answer) -> bool:
    return isinstance(answer.error, OutcomeUnknown)


def _was_in_doubt(row: Any) -> bool:
    return row is not None and row.status is Status.IN_DOUBT


def _doubt(answer: Answer, now: datetime) -> bool:
    check_at = now + timedelta(seconds=retry_policy(answer.provider).first_lookup)
    columns = {"status": Status.IN_DOUBT, "check_at": check_at, "updated_at": now}
    return messages.leave_submitting(answer.message_id, answer.attempt, **columns)


def _retry(answer: Answer, now: datetime) -> bool:
    """Make the message due again if the call certainly had no effect; return whether it is."""
    error, due_at, tried_since = answer.error, now, None
    if isinstance(error, NoRoute) and answer.to_next:
        tried_since = messages.NO_ROUTE  # the next claim moves the message
    elif isinstance(error, Blocked) and blocks.block(
        Key(error.scope, answer.provider, answer.account, answer.held_value),
        error.code,
        answer.message_id,
        now,
    ):
        pass  # the next claim finds the hold
    elif isinstance(error, Blocked | NotAccepted):
        due_at += backoff(answer.tries + 1, getattr(error, "retry_after", None))
        tried_since = now if answer.began else None
    else:
        return False
    due_at = before_deadline(due_at, answer)
    return messages.leave_untried(answer.message_id, answer.attempt, due_at, tried_since, now)


def _note_not_accepting(failed: Iterable[Answer], now: datetime) -> None:
    """Note which accounts accept nothing, each once."""
    errors = {
        (answer.provider, answer.account): answer.error
        for answer in failed
        if isinstance(answer.error, NotAccepted) and answer.began
    }
    for (provider, account), error in sorted(errors.items()):
        blocks.not_accepting(provider, account, error, now)


def _end_holds(answers: Sequence[Answer], now: datetime) -> int:
    """End the holds in spite of which a provider accepted a message; return how many."""
    passed = {
        hold: answer.message_id
        for answer in answers
        if answer.error is None
        for hold in answer.holds
    }
    return blocks.accepted(passed, now)


def _answered(
    answer: Answer, rows: Mapping[UUID, Any], numbers: Mapping[UUID, int]
) -> dict[str, Any]:
    error, row = answer.error, rows.get(answer.message_id)
    # A callback may have ended the message meanwhile, and it may be redacted already.
    keep_text = error and (row is None or row.redacted_at is None)
    return {
        "key": answer.attempt_id,
        # An attempt without an effect gives its number to the next one.
        "number": numbers.get(answer.attempt_id, answer.attempt),
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
