"""Claim: take due messages for one attempt each, and take them back from workers that died.

The database is the queue of what is to be sent. A claim and its attempt are committed before the
provider is called, in one transaction: a worker that dies before it certainly did not call.
"""

import logging
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final, NamedTuple

from redis.exceptions import RedisError
from uuid_utils.compat import uuid7

from service.components import components
from service.coordination.sender_rate_limit import SendRequest
from service.database import transaction
from service.domain.deadline import before_deadline
from service.domain.status import Status
from service.models import Message
from service.observability import events
from service.observability.metrics import counting
from service.providers.base import Outbound
from service.providers.sandbox import SANDBOX
from service.queries import attempts, messages
from service.retry_policy import retry_policy
from service.sending import expiry, suppression
from service.texts.segments import segments

# Of those that are due, many may have to wait for their senders, or be to nobody who wants them: it
# is looked past so many lots.
_ROUNDS: Final = 8
# A claim looks a quarter of a second ahead: what is put back for less is only looked at again.
_SOONEST: Final = 0.3

_log = logging.getLogger(__name__)


class Claim(NamedTuple):
    """A message that this process may hand over, once, until its lease ends."""

    message: Message
    outbound: Outbound
    ends: datetime

    @property
    def is_over(self) -> bool:
        """Tell whether no call may begin: another may soon have the message, or it expired.

        By the wall clock: a monotonic one stands still while the machine is suspended.
        """
        return datetime.now(UTC) >= self.ends


def claim(limit: int) -> list[Claim]:
    """Claim up to `limit` due messages whose senders may send now; urgent ones first."""
    claims = list[Claim]()
    for _ in range(_ROUNDS):
        try:
            looked_at, more = _claim_some(limit - len(claims))
        except Exception as error:
            if not claims:
                raise
            # The claims of earlier rounds are committed: without a call they would end in doubt.
            _log.warning("a claim ended early (%s)", type(error).__name__)
            break
        claims += more
        if len(more) == looked_at:  # nothing is due any more, or every line is taken
            break
    return claims


def _claim_some(limit: int) -> tuple[int, list[Claim]]:
    """Return how many were due, and those that are to go out."""
    lease, now = timedelta(seconds=components().settings.claim_lease), datetime.now(UTC)
    ends = now + lease / 2  # the other half is for the call and its answer
    with transaction():
        claimed = messages.claim(
            now,
            limit,
            until=now + lease,
            check_at=now + timedelta(seconds=components().settings.reconcile_after),
        )
        expired = expiry.expire_claimed([one for one, _ in claimed], now)
        due = [(message, since) for message, since in claimed if message not in expired]
        for message, _ in due:
            if message.provider == SANDBOX:
                message.check_at = now + retry_policy(SANDBOX).ask_after
        spared = {one.id for one in suppression.spare([one for one, _ in due], now)}
        wanted = [one for one in due if one[0].id in spared and not _postponed(one[0], now)]
        going = _at_their_pace(wanted, now)
        claims = [
            Claim(message, _outbound(message, now), before_deadline(ends, message))
            for message in going
        ]
        attempts.begin([_attempt(one, now) for one in claims])
    expiry.announce(expired)
    return len(claimed), claims


def expire_claims(limit: int = 500) -> int:
    """Put messages in doubt whose worker has not been heard of since its lease ended.

    Answers and callbacks may still wait in the inbox: a claim ends in doubt once everything is
    recorded that came before its end.
    """
    now = datetime.now(UTC)
    try:
        recorded_until = now - timedelta(seconds=components().inbox.oldest_age())
    except RedisError as error:
        _log.warning("no claim expires: the inbox is unavailable (%s)", type(error).__name__)
        return 0
    with transaction():
        expired = messages.expired_claims(recorded_until, limit)
        messages.doubt(expired, now, check_at=now + _first_lookup())
    counting.expired(len(expired))
    events.expired(expired)
    return len(expired)


def _first_lookup() -> timedelta:
    return timedelta(seconds=components().settings.doubt_first_lookup)


def _postponed(message: Message, now: datetime) -> bool:
    """Hold a message for which the provider's scheduling window closed while it was queued."""
    if message.send_at is None or message.send_at <= now or _held_there(message, now):
        return False
    _put_back(message, message.send_at)
    return True


def _at_their_pace(due: Sequence[tuple[Message, datetime]], now: datetime) -> list[Message]:
    """Put back those that are too fast for their sender, without an attempt; return the others."""
    waits = components().sender_rates.delays([_ask(message, since) for message, since in due])
    going = list[Message]()
    for (message, _), wait in zip(due, waits, strict=True):
        if wait > 0:
            _put_back(message, now + timedelta(seconds=max(wait, _SOONEST)))
        else:
            going.append(message)
    return going


def _ask(message: Message, since: datetime) -> SendRequest:
    sender = message.messaging_service_sid or message.sender
    return SendRequest(
        sender=f"{message.provider}:{sender}",
        queue=f"{message.client_id}:{message.priority}",
        segments=segments(message.body),
        rescheduled=since not in (message.created_at, message.send_at),
    )


def _put_back(message: Message, due_at: datetime) -> None:
    messages.leave_submitting(
        message.id,
        message.attempts,
        status=Status.PENDING,
        due_at=before_deadline(due_at, message),
        submitted_at=None,
        attempts=message.attempts - 1,
    )


def _held_there(message: Message, now: datetime) -> bool:
    if message.send_at is None:
        return False
    ahead = (message.send_at - now).total_seconds()
    provider = components().providers.get(message.provider)
    return provider is not None and provider.can_schedule(message.messaging_service_sid, ahead)


def _outbound(message: Message, now: datetime) -> Outbound:
    return Outbound(
        attempt_id=uuid7(),
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
        smart_encoding=message.smart_encoding,
    )


def _attempt(claim: Claim, now: datetime) -> dict[str, Any]:
    return {
        "id": claim.outbound.attempt_id,
        "message_id": claim.message.id,
        "number": claim.outbound.attempt,
        "provider": claim.message.provider,
        "started_at": now,
    }
