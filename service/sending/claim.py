"""Claims due messages for one attempt each, and expires the claims of workers that died.

The database is the queue of sends. A claim and its attempt are committed in one transaction before
the provider is called: a worker that dies before the commit certainly did not call.
"""

import logging
from datetime import UTC, datetime, timedelta
from typing import Any, Final, NamedTuple

from redis.exceptions import RedisError
from uuid_utils.compat import uuid7

from service.components import components
from service.database import transaction
from service.domain.deadline import before_deadline
from service.holds.release import release
from service.models import Message
from service.observability import events
from service.observability.metrics import counting
from service.providers.base import Outbound
from service.providers.sandbox import SANDBOX
from service.queries import attempts, holds, messages
from service.queries.messages import Claimed
from service.retry_policy import retry_policy
from service.sending import expiry, failover, ownership, postpone, suppression
from service.sending.ownership import ANY, Owners
from service.task_queue.queue import DELIVER
from service.webhooks.owe import owe

# Many due messages may wait for a hold, exceed the rate of their sender, or be to recipients who
# opted out. A claim looks past this many batches of them.
_ROUNDS: Final = 8
# A round after one without a claim takes four times as many messages: with a million that must wait
# for a hold, a message costs a third of the time (measured with 32 and 500 on PostgreSQL).
_LARGEST_BATCH: Final = 500

_log = logging.getLogger(__name__)


class Claim(NamedTuple):
    """A message that this process may send, once, until the lease ends."""

    message: Message
    outbound: Outbound
    ends: datetime
    holds: tuple[int, ...] = ()  # active ones in spite of which the message is sent
    owners: Owners = ANY  # of the senders to which the message could move

    @property
    def is_over(self) -> bool:
        """Tell whether it is too late to call: another worker may claim the message, or it expired.

        By the wall clock: a monotonic clock stops while the machine is suspended.
        """
        return datetime.now(UTC) >= self.ends


def claim(limit: int) -> list[Claim]:
    """Claim up to `limit` due messages whose senders may send now; urgent ones first."""
    claims, more, batch = list[Claim](), True, limit
    for _ in range(_ROUNDS):
        try:
            more, round_claims = _claim_round(limit - len(claims), batch)
        except Exception as error:
            if not claims:
                raise
            # The claims of earlier rounds are committed: without a call they would end in doubt.
            _log.warning("a claim ended early (%s)", type(error).__name__)
            break
        claims += round_claims
        if not more or len(claims) == limit:
            return claims
        batch = limit - len(claims) if round_claims else min(_LARGEST_BATCH, 4 * batch)
    if more:  # messages that wait for a hold or a rate were in front of others
        components().queue.request(DELIVER)
    return claims


def _claim_round(limit: int, batch: int) -> tuple[bool, list[Claim]]:
    """Claim a batch of due messages, and put back those that may not be sent now.

    Returns whether more messages may be due, and at most `limit` claims.
    """
    lease, now = timedelta(seconds=components().settings.claim_lease), datetime.now(UTC)
    first_check = now + timedelta(seconds=components().settings.reconcile_after)
    with transaction():
        loaded = holds.unreleased()
        more = release(loaded, now)
        due = messages.claim(now, batch, until=now + lease, check_at=first_check)
        if not due:
            return more, []
        expired = expiry.expire_claimed(due, now)
        opted_in = suppression.without_opted_out([item for item in due if item not in expired], now)
        owners = ownership.of_default_senders()
        sendable = failover.sendable(opted_in, loaded, owners, now)
        sendable = postpone.ready(sendable, limit, now)
        # Half of the lease is for the call and its answer.
        claims = [_claim(item, now, now + lease / 2, owners) for item in sendable]
        attempts.begin([_attempt(claimed, now) for claimed in claims])
    expiry.announce([item.message for item in expired])
    return more or len(claims) < len(due), claims


def _claim(item: Claimed, now: datetime, ends: datetime, owners: Owners) -> Claim:
    message = item.message
    if message.provider == SANDBOX:
        message.check_at = now + retry_policy(SANDBOX).ask_after
    ends = before_deadline(ends, message)
    return Claim(message, _outbound(message, now), ends, item.holds, owners)


def expire_claims(limit: int = 500) -> int:
    """Mark messages as in doubt whose lease ended without an answer; return how many.

    Answers and callbacks may still wait in the inbox: a claim expires only when everything that
    came before its end is recorded.
    """
    now = datetime.now(UTC)
    try:
        recorded_until = now - timedelta(seconds=components().inbox.oldest_age())
    except RedisError as error:
        _log.warning(
            "claims do not expire while the inbox is unavailable (%s)", type(error).__name__
        )
        return 0
    with transaction():
        expired = messages.expired_claims(recorded_until, limit)
        messages.doubt(expired, now, check_at=now + _first_lookup())
        owe(expired)
    counting.expired(len(expired))
    events.expired(expired)
    return len(expired)


def _first_lookup() -> timedelta:
    return timedelta(seconds=components().settings.doubt_first_lookup)


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
        send_at=message.send_at if postpone.provider_schedules(message, now) else None,
        validity_period=message.validity_period,
        smart_encoding=message.smart_encoding,
        tries=message.tries,
    )


def _attempt(claim: Claim, now: datetime) -> dict[str, Any]:
    return {
        "id": claim.outbound.attempt_id,
        "message_id": claim.message.id,
        "number": claim.outbound.attempt,
        "provider": claim.message.provider,
        "account": claim.message.account,
        "started_at": now,
    }
