"""Deliver: what happens to a message until a provider has it.

The database is the truth about sends. A message is committed before it is enqueued, claimed and
its attempt committed before the provider is called, and an unknown outcome is never repeated.
"""

import logging
import random
from datetime import UTC, datetime, timedelta
from typing import Final
from uuid import UUID

from uuid_utils.compat import uuid7

from service.domain.report import Source, StatusReport
from service.domain.status import Status
from service.errors import GAVE_UP, NotAccepted, OutcomeUnknown, ProviderError, Refused
from service.extensions import db, parts, transaction
from service.flows import recording
from service.flows.accepting import SWEEP_AFTER
from service.flows.patience import patience
from service.models import Attempt, Message
from service.providers.contract import Outbound
from service.providers.test import NAME as TEST
from service.queue import SEND
from service.store import attempts, messages

_LONGEST_PAUSE: Final = 60.0
# A queue this long surely holds what is pending; to enqueue it again would only add to it. One
# that lost its memory is short.
_LONG_QUEUE: Final = 1000

_log = logging.getLogger(__name__)


def deliver(message_id: UUID) -> None:
    """Hand one message to its provider, if it is due and nobody else does."""
    message = _claim(message_id)
    if message is None:
        return
    outbound = _begin(message)
    if outbound is None:
        return
    try:
        report = parts().providers[message.provider].send(outbound)
    except Refused as error:
        report = _failure(message, "refused", error, attempt_id=outbound.attempt_id)
        _record(outbound, "refused", report, error)
    except NotAccepted as error:
        _try_again(message, outbound, error)
    except OutcomeUnknown as error:
        _doubt(message, outbound, error)
    else:
        _record(outbound, "accepted", report)


def enqueue_due(limit: int = 500) -> int:
    """Enqueue pending messages whose time has come and that no queue seems to hold."""
    if parts().queue.depth(SEND) > _LONG_QUEUE:
        return 0
    now = datetime.now(UTC)
    with transaction():
        due = messages.take_due(now, now + SWEEP_AFTER, limit)
    parts().queue.deliver(due)
    return len(due)


def expire_claims(limit: int = 500) -> int:
    """Take messages back from workers that died: in doubt if the call may have begun."""
    now = datetime.now(UTC)
    with transaction():
        expired = messages.expired_claims(now, limit)
        begun = messages.doubt(expired, now, check_at=now + _first_lookup())
        messages.reopen(set(expired) - begun, now)
    if expired:
        _log.warning("claims expired: %d, of these in doubt: %d", len(expired), len(begun))
    return len(expired)


def _claim(message_id: UUID) -> Message | None:
    settings, now = parts().settings, datetime.now(UTC)
    with transaction():
        message = messages.claim(
            message_id,
            now,
            until=now + timedelta(seconds=settings.claim_lease),
            check_at=now + timedelta(seconds=settings.reconcile_after),
        )
        if message is None or _postponed(message, now):
            return None
        if message.provider == TEST:
            message.check_at = now + patience(TEST).ask_after
        return message


def _begin(message: Message) -> Outbound | None:
    """Write down that the call is about to be made; None when the claim was lost meanwhile.

    A transaction of its own: a worker that dies before this commit certainly did not call.
    """
    now = datetime.now(UTC)
    until = now + timedelta(seconds=parts().settings.claim_lease)
    attempt = Attempt(
        id=uuid7(),
        message_id=message.id,
        number=message.attempts,
        provider=message.provider,
        started_at=now,
    )
    with transaction():
        if not messages.extend_claim(message.id, message.attempts, until):
            return None
        db.session.add(attempt)
    return _outbound(message, attempt.id, now)


def _postponed(message: Message, now: datetime) -> bool:
    """Hold a message for which the provider's scheduling window closed while it was queued."""
    if message.send_at is None or message.send_at <= now or _held_there(message, now):
        return False
    messages.leave_submitting(
        message.id,
        message.attempts,
        status=Status.PENDING,
        next_attempt_at=message.send_at,
        enqueue_at=message.send_at,
        submitted_at=None,
        attempts=message.attempts - 1,
    )
    return True


def _held_there(message: Message, now: datetime) -> bool:
    if message.send_at is None:
        return False
    ahead = (message.send_at - now).total_seconds()
    return parts().providers[message.provider].holds(message.messaging_service_sid, ahead)


def _outbound(message: Message, attempt_id: UUID, now: datetime) -> Outbound:
    return Outbound(
        attempt_id=attempt_id,
        attempt=message.attempts,
        to=message.to,
        sender=message.sender,
        messaging_service_sid=message.messaging_service_sid,
        body=message.body,
        media_urls=message.media_urls,
        content_sid=message.content_sid,
        content_variables=message.content_variables,
        send_at=message.send_at if _held_there(message, now) else None,
        validity_period=message.validity_period,
    )


def _record(
    outbound: Outbound, word: str, report: StatusReport, error: ProviderError | None = None
) -> None:
    with transaction():
        recording.apply([report])
        _answered(outbound, word, error)


def _failure(
    message: Message,
    word: str,
    error: ProviderError,
    *,
    attempt_id: UUID | None = None,
    message_id: UUID | None = None,
) -> StatusReport:
    return StatusReport(
        provider=message.provider,
        source=Source.API,
        word=word,
        status=Status.FAILED,
        received_at=datetime.now(UTC),
        message_id=message_id,
        attempt_id=attempt_id,
        error_code=error.code,
        error_message=error.message,
        raw=error.raw,
    )


def _try_again(message: Message, outbound: Outbound, error: NotAccepted) -> None:
    """Let the message wait for another attempt, or fail it when there were enough."""
    if outbound.attempt >= patience(message.provider).attempts:
        # Our own verdict names no attempt: anything the provider says later outranks it.
        verdict = NotAccepted(error.message, GAVE_UP, error.raw)
        report = _failure(message, GAVE_UP, verdict, message_id=message.id)
        _record(outbound, "not_accepted", report, error)
        return
    now = datetime.now(UTC)
    then = now + _pause(outbound.attempt)
    with transaction():
        messages.leave_submitting(
            message.id,
            outbound.attempt,
            status=Status.PENDING,
            next_attempt_at=then,
            enqueue_at=then,
            submitted_at=None,
            updated_at=now,
        )
        _answered(outbound, "not_accepted", error)


def _doubt(message: Message, outbound: Outbound, error: OutcomeUnknown) -> None:
    now = datetime.now(UTC)
    with transaction():
        messages.leave_submitting(
            message.id,
            outbound.attempt,
            status=Status.IN_DOUBT,
            updated_at=now,
            check_at=now + timedelta(seconds=patience(message.provider).first_lookup),
        )
        _answered(outbound, "unknown", error)
    # Not the provider's words: they may hold a phone number.
    _log.warning("in doubt: message %s, attempt %s", message.id, outbound.attempt_id)


def _first_lookup() -> timedelta:
    return timedelta(seconds=parts().settings.doubt_first_lookup)


def _answered(outbound: Outbound, word: str, error: ProviderError | None) -> None:
    """Note how the call ended, last in its transaction: message first, then attempt, everywhere.

    A drain locks in that order, too; the other order deadlocks with a callback that came early.
    """
    code, text = (error.code, error.message) if error else (None, None)
    attempts.answer(outbound.attempt_id, datetime.now(UTC), word, code, text)


def _pause(attempt: int) -> timedelta:
    """Return how long to wait: doubling from a second, with jitter so that a crowd disperses."""
    longest = min(_LONGEST_PAUSE, 2.0 ** (attempt - 1))
    return timedelta(seconds=random.uniform(longest / 2, longest))
