"""Claim: take due messages for one attempt each, and take them back from workers that died.

The database is the queue of what is to be sent. A claim and its attempt are committed before the
provider is called, in one transaction: a worker that dies before it certainly did not call.
"""

import logging
from datetime import UTC, datetime, timedelta
from typing import Any, Final, NamedTuple

from uuid_utils.compat import uuid7

from service.domain.status import Status
from service.extensions import parts, transaction
from service.flows import sparing
from service.flows.patience import patience
from service.metrics import counting
from service.models import Message
from service.providers.contract import Outbound
from service.providers.test import NAME as TEST
from service.store import attempts, messages

# A claim that finds nobody to write to looks further, this often.
_MOST_ROUNDS: Final = 50

_log = logging.getLogger(__name__)


class Claim(NamedTuple):
    """A message that this process may hand over, once, until its lease ends."""

    message: Message
    outbound: Outbound
    ends: datetime

    @property
    def is_over(self) -> bool:
        """Tell whether another may soon have the message, so that no call may begin.

        By the wall clock: a monotonic one stands still while the machine is suspended.
        """
        return datetime.now(UTC) >= self.ends


def claim(limit: int) -> list[Claim]:
    """Claim up to `limit` due messages, the longest due first.

    A crowd that opted out must not hold up whoever waits behind it: then the next are claimed.
    """
    for _ in range(_MOST_ROUNDS):
        claims, claimed = _claim(limit)
        if claims or not claimed:
            break
    return claims


def _claim(limit: int) -> tuple[list[Claim], int]:
    """Claim messages; return those to be handed over, and how many there were."""
    lease, now = timedelta(seconds=parts().settings.claim_lease), datetime.now(UTC)
    ends = now + lease / 2  # the other half is for the call and its answer
    with transaction():
        claimed = messages.claim(
            now,
            limit,
            until=now + lease,
            check_at=now + timedelta(seconds=parts().settings.reconcile_after),
        )
        for message in claimed:
            if message.provider == TEST:
                message.check_at = now + patience(TEST).ask_after
        claims = [
            Claim(message, _outbound(message, now), ends)
            for message in sparing.spare(claimed, now)
            if not _postponed(message, now)
        ]
        attempts.begin([_attempt(one, now) for one in claims])
    return claims, len(claimed)


def expire_claims(limit: int = 500) -> int:
    """Put messages in doubt whose worker has not been heard of since its lease ended."""
    now = datetime.now(UTC)
    with transaction():
        expired = messages.expired_claims(now, limit)
        messages.doubt(expired, now, check_at=now + _first_lookup())
    counting.expired(len(expired))
    if expired:
        _log.warning("claims expired, and now in doubt: %d", len(expired))
    return len(expired)


def _first_lookup() -> timedelta:
    return timedelta(seconds=parts().settings.doubt_first_lookup)


def _postponed(message: Message, now: datetime) -> bool:
    """Hold a message for which the provider's scheduling window closed while it was queued."""
    if message.send_at is None or message.send_at <= now or _held_there(message, now):
        return False
    messages.leave_submitting(
        message.id,
        message.attempts,
        status=Status.PENDING,
        due_at=message.send_at,
        submitted_at=None,
        attempts=message.attempts - 1,
    )
    return True


def _held_there(message: Message, now: datetime) -> bool:
    if message.send_at is None:
        return False
    ahead = (message.send_at - now).total_seconds()
    provider = parts().providers.get(message.provider)
    return provider is not None and provider.holds(message.messaging_service_sid, ahead)


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
    )


def _attempt(claim: Claim, now: datetime) -> dict[str, Any]:
    return {
        "id": claim.outbound.attempt_id,
        "message_id": claim.message.id,
        "number": claim.outbound.attempt,
        "provider": claim.message.provider,
        "started_at": now,
    }
