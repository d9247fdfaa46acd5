"""Operate: what a person may do about one message. Every decision stands in the ledger, by name."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final
from uuid import UUID

from service.components import components
from service.database import transaction
from service.domain.deadline import is_past_deadline
from service.domain.report import Source, StatusReport
from service.domain.status import Status, is_final
from service.errors import Conflict, NotFound, Unavailable
from service.models import Attempt, Message
from service.observability import events
from service.queries import clients, reconciliation
from service.reconciliation import poll
from service.reconciliation.resolve import in_doubt, resolve
from service.recording import record, return_to_inbox
from service.recording.redaction import DECISION
from service.sending.accept import Draft, accept
from service.task_queue.queue import DELIVER

# The client to whom the messages belong that operators send to see whether sending works.
TESTER: Final = "operators"


def look_up(message_id: UUID, operator: str) -> None:
    """Ask the provider now. Raises NotFound, Conflict when there is nothing to ask, Unavailable."""
    message, attempt = _found(message_id)
    if is_final(message.status) or message.status in (Status.PENDING, Status.SUBMITTING):
        raise Conflict(f"the message is {message.status}: there is nothing to ask about it")
    _write(message, attempt, "asked", operator)
    if poll.reconcile([message_id], force=True):
        raise Unavailable("the provider does not answer; the message will be looked up again")


def send_again(message_id: UUID, operator: str) -> None:
    """Send a message in doubt once more, although it may have arrived. Raises as `look_up`."""
    message, attempt = in_doubt(message_id)
    if is_past_deadline(message, datetime.now(UTC)):
        raise Conflict("its validity period is over: it is not sent any more")
    _write(message, attempt, "sent_again", operator)
    with transaction():
        reconciliation.make_pending(message.id, attempt.number, datetime.now(UTC))
    components().queue.request(DELIVER)


def give_up(message_id: UUID, operator: str) -> None:
    """Fail a message in doubt: it never went out. Raises as `look_up`."""
    message, attempt = in_doubt(message_id)
    resolve(message_id, None, _decision(message, attempt, "given_up", operator))
    _tell(message, attempt, "given_up", operator)


def take_sid(message_id: UUID, provider_sid: str, operator: str) -> None:
    """Bind a message in doubt to the SID that a person found. Raises also what a fetch raises."""
    message, attempt = in_doubt(message_id)
    resolve(message_id, provider_sid, _decision(message, attempt, "sid_given", operator))
    _tell(message, attempt, "sid_given", operator)


def replay(numbers: Sequence[int] | None, operator: str) -> int:
    """Give dead letters another chance, the oldest for None; return how many."""
    count = return_to_inbox.replay_dead_letters(numbers)
    events.operator_action(operator, "replayed", dead_letters=count)
    return count


def send_test(draft: Draft, operator: str) -> UUID:
    """Accept a message from an operator; return its id. Raises Conflict for a key used before."""
    with transaction():
        client_id = clients.ensure(TESTER, datetime.now(UTC))
    [accepted] = accept(client_id, [draft])
    if accepted.conflict:
        raise Conflict("this form was sent before, with something else in it")
    events.operator_action(operator, "sent_test", message_id=accepted.message.id)
    return accepted.message.id


def _found(message_id: UUID) -> tuple[Message, Attempt]:
    with transaction():
        message, attempt = reconciliation.with_attempt(message_id)
    if message is None or attempt is None:
        raise NotFound("there is no such message, or it was never tried")
    return message, attempt


def _write(message: Message, attempt: Attempt, deed: str, operator: str) -> None:
    """Write into the ledger who decided what."""
    _tell(message, attempt, deed, operator)
    record.record([_decision(message, attempt, deed, operator)])


def _tell(message: Message, attempt: Attempt, deed: str, operator: str) -> None:
    events.operator_action(operator, deed, message_id=message.id, attempt_id=attempt.id)


def _decision(message: Message, attempt: Attempt, deed: str, operator: str) -> StatusReport:
    """Return who decided what; it says nothing about the status."""
    now = datetime.now(UTC)
    return StatusReport(
        provider=message.provider,
        source=Source.RECONCILIATION,
        word=DECISION + deed,
        status=None,
        received_at=now,
        attempt_id=attempt.id,
        provider_time=f"{now:%Y-%m-%d %H:%M:%S.%f}",
        raw={"operator": operator},
    )
