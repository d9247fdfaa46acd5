"""Actions of operators. Each action on a message is an event in its ledger, with their name."""

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
from service.sending.resend import resend_one
from service.sending.resend_refusals import Order
from service.task_queue.queue import DELIVER

# The client that owns the test messages of operators.
TEST_CLIENT: Final = "operators"


def look_up(message_id: UUID, operator: str) -> None:
    """Ask the provider now. Raises NotFound, Unavailable, Conflict where no look-up is possible."""
    message, attempt = _message(message_id)
    if is_final(message.status) or message.status in (Status.PENDING, Status.SUBMITTING):
        raise Conflict(f"the message is {message.status}: the provider has nothing to look up")
    _record(message, attempt, "asked", operator)
    if poll.reconcile([message_id], force=True):
        raise Unavailable("the provider does not answer; the look-up is repeated automatically")


def send_again(message_id: UUID, operator: str) -> None:
    """Send a message in doubt once more, although it may have arrived. Raises as `look_up`."""
    message, attempt = in_doubt(message_id)
    if is_past_deadline(message, datetime.now(UTC)):
        raise Conflict("its validity period is over: it can no longer be sent")
    _record(message, attempt, "sent_again", operator)
    with transaction():
        reconciliation.make_pending(message.id, attempt.number, datetime.now(UTC))
    components().queue.request(DELIVER)


def resend(message_id: UUID, operator: str, *, confirmed: bool) -> None:
    """Send a failed or expired message again. Raises NotFound, or Conflict with the reason."""
    resend_one(message_id, by_operator(operator, confirmed=confirmed))
    events.operator_action(operator, "resent", message_id=message_id)


def by_operator(operator: str, *, confirmed: bool = False) -> Order:
    """Return the order of an operator to send messages again."""
    return Order(Source.RECONCILIATION, confirmed, operator)


def give_up(message_id: UUID, operator: str) -> None:
    """Mark a message in doubt as failed: it was not sent. Raises as `look_up`."""
    message, attempt = in_doubt(message_id)
    resolve(message_id, None, _decision(message, attempt, "given_up", operator))
    _log_action(message, attempt, "given_up", operator)


def set_sid(message_id: UUID, provider_sid: str, operator: str) -> None:
    """Bind a message in doubt to a SID. Raises as `look_up`, and ProviderError."""
    message, attempt = in_doubt(message_id)
    resolve(message_id, provider_sid, _decision(message, attempt, "sid_given", operator))
    _log_action(message, attempt, "sid_given", operator)


def replay(numbers: Sequence[int] | None, operator: str) -> int:
    """Put dead letters back into the inbox, the oldest for None; return how many."""
    count = return_to_inbox.replay_dead_letters(numbers)
    events.operator_action(operator, "replayed", dead_letters=count)
    return count


def send_test(draft: Draft, operator: str) -> UUID:
    """Accept a test message; return its id. Raises Conflict if its key was used for another."""
    with transaction():
        client_id = clients.ensure(TEST_CLIENT, datetime.now(UTC))
    [accepted] = accept(client_id, [draft])
    if accepted.conflict:
        raise Conflict("this form was already sent with other values; reload it")
    events.operator_action(operator, "sent_test", message_id=accepted.message.id)
    return accepted.message.id


def _message(message_id: UUID) -> tuple[Message, Attempt]:
    with transaction():
        message, attempt = reconciliation.with_attempt(message_id)
    if message is None or attempt is None:
        raise NotFound("there is no such message, or it has no attempt")
    return message, attempt


def _record(message: Message, attempt: Attempt, action: str, operator: str) -> None:
    """Record an action in the ledger and in the log."""
    _log_action(message, attempt, action, operator)
    record.record([_decision(message, attempt, action, operator)])


def _log_action(message: Message, attempt: Attempt, action: str, operator: str) -> None:
    events.operator_action(operator, action, message_id=message.id, attempt_id=attempt.id)


def _decision(message: Message, attempt: Attempt, action: str, operator: str) -> StatusReport:
    """Return the report of an action. It has no status."""
    now = datetime.now(UTC)
    return StatusReport(
        provider=message.provider,
        source=Source.RECONCILIATION,
        word=DECISION + action,
        status=None,
        received_at=now,
        attempt_id=attempt.id,
        provider_time=f"{now:%Y-%m-%d %H:%M:%S.%f}",
        raw={"operator": operator},
    )
