"""Accepts messages: stores each once, then requests a delivery."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final, NamedTuple
from uuid import UUID

from uuid_utils.compat import uuid7

from service.components import components
from service.database import single_write, transaction
from service.domain.account import DEFAULT_ACCOUNT
from service.domain.message_ids import creation_time
from service.domain.priority import Priority
from service.domain.status import Status
from service.models import Message
from service.observability import events
from service.queries import messages
from service.retry_policy import patience
from service.sending import idempotency
from service.task_queue.queue import DELIVER

# The scheduling window of the provider must still be open when a worker claims the message.
_MARGIN: Final = timedelta(seconds=60)


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """A validated message with defaults filled in, not yet stored."""

    provider: str
    account: str = DEFAULT_ACCOUNT
    provider_fixed: bool = False  # the request names the provider or the account
    sender_fixed: bool = False
    to: str
    sender: str | None
    messaging_service_sid: str | None
    body: str | None
    media_urls: list[str] | None
    content_sid: str | None
    content_variables: dict[str, str] | None
    send_at: datetime | None
    validity_period: int | None
    expires_at: datetime | None = None
    reference: str | None
    details: dict[str, Any]
    resend_if_unknown: bool
    request_digest: bytes  # recognises a repeat of the request; stored under a key
    idempotency_key: str | None
    priority: Priority = Priority.NORMAL
    smart_encoding: bool = False
    # Of the text as an SMS; None for other channels.
    encoding: str | None = None
    estimated_segments: int | None = None
    webhook_endpoint_id: UUID | None = None  # None: all endpoints of the client
    # The digest that the previous version made of this request, which it may have accepted.
    earlier_digest: bytes | None = None


_COLUMNS: Final = tuple(name for name in Draft.__slots__ if name != "earlier_digest")


class Accepted(NamedTuple):
    """The result for one draft. `conflict`: its key was used before, for another request."""

    message: Message
    replayed: bool = False
    conflict: bool = False


def accept(client_id: int, drafts: Sequence[Draft]) -> list[Accepted]:
    """Store drafts in one transaction, each at most once, and request a delivery if one is due."""
    now = datetime.now(UTC)
    rows = [_row(client_id, draft, now) for draft in drafts]
    keys = {draft.idempotency_key for draft in drafts if draft.idempotency_key}
    with single_write() if len(rows) == 1 else transaction():
        inserted = messages.insert(rows)
        taken = messages.by_key(client_id, keys) if len(inserted) < len(rows) else {}
    if any(row["id"] in inserted and row["due_at"] <= row["created_at"] for row in rows):
        components().queue.request(DELIVER)
    events.accepted([row for row in rows if row["id"] in inserted])
    pairs = zip(rows, drafts, strict=True)
    return [_accepted(row, draft, inserted, taken) for row, draft in pairs]


def answered_before(
    client_id: int, key: str, request_digests: Collection[bytes]
) -> Accepted | None:
    """Return the result of an earlier, equal request with this key, if there was one.

    Validation may refuse it now: its time is past, or a setting has changed.
    """
    earlier = messages.by_key(client_id, [key]).get(key)
    if earlier is None or not _is_repeat(earlier, request_digests):
        return None
    return Accepted(earlier, replayed=True)


def _row(client_id: int, draft: Draft, now: datetime) -> dict[str, Any]:
    message_id, wait = uuid7(), _hold_until(draft, now)
    # Lists by time use the id, which was made a moment later than `now`.
    now = max(now, creation_time(message_id))
    begin = now if draft.send_at is None else max(draft.send_at, now)
    columns = {name: getattr(draft, name) for name in _COLUMNS}
    return {
        **columns,
        "id": message_id,
        "client_id": client_id,
        "status": Status.PENDING,
        "due_at": wait or now,
        # Only requests with an idempotency key are compared.
        "request_digest": draft.idempotency_key and idempotency.keyed(draft.request_digest),
        "expires_at": draft.expires_at or begin + patience(draft.provider, draft.validity_period),
        "attempts": 0,
        "tries": 0,
        "failed_in": 0,
        "delivered_in": 0,
        "created_at": now,
        "updated_at": now,
    }


def _hold_until(draft: Draft, now: datetime) -> datetime | None:
    """Return until when Waybill holds the message; None if the provider schedules it."""
    if draft.send_at is None or draft.send_at <= now:
        return None
    ahead = (draft.send_at - now - _MARGIN).total_seconds()
    scheduled = (
        components().providers[draft.provider].can_schedule(draft.messaging_service_sid, ahead)
    )
    return None if scheduled else draft.send_at


def _accepted(
    row: dict[str, Any], draft: Draft, inserted: set[UUID], taken: dict[str, Message]
) -> Accepted:
    if row["id"] in inserted:
        return Accepted(Message(**row))
    earlier = taken[row["idempotency_key"]]
    repeat = _is_repeat(earlier, [draft.request_digest, draft.earlier_digest])
    return Accepted(earlier, replayed=repeat, conflict=not repeat)


def _is_repeat(earlier: Message, digests: Iterable[bytes | None]) -> bool:
    """Tell whether one of these is the digest of the request that created a message."""
    return any(idempotency.matches(earlier.request_digest, digest) for digest in digests if digest)
