"""Sends messages again that failed or expired without having been on the air.

A resend is a report of ours, with a number between those of the attempts before and after it: it
outranks what was reported about the attempts before, except for a delivery. See
docs/adr/0040-send-again.md.
"""

from collections.abc import Collection, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any, Final
from uuid import UUID

from service.components import components
from service.database import transaction
from service.domain.report import Source, StatusReport
from service.domain.status import Status
from service.errors import Conflict, NotFound
from service.models import Message
from service.observability import events
from service.queries import ledger, message_details, resends
from service.recording import record
from service.recording.redaction import DECISION
from service.retry_policy import patience
from service.sending import ownership
from service.sending.alternatives import Alternative, first_of_route
from service.sending.ownership import Owners
from service.sending.resend_refusals import ADVICE, Order, Refusals, refusals_of
from service.task_queue.queue import DELIVER

# The word of the ledger entry.
RESEND: Final = "resend"


def resend(client_id: int, message_id: UUID, *, confirmed: bool) -> Message:
    """Send a client's message again and return it. Raises NotFound, or Conflict with the reason."""
    with transaction():
        message_details.message(client_id, message_id)
    resend_one(message_id, Order(Source.CLIENT, confirmed))
    return message_details.message(client_id, message_id)


def resend_one(message_id: UUID, order: Order) -> None:
    """Send any client's message again. Raises NotFound, or Conflict with the reason."""
    refusals = resend_all([message_id], order)
    if message_id not in refusals:
        raise NotFound("there is no such message")
    refusal = refusals[message_id]
    if refusal is not None:
        raise Conflict(f"not sent again: {refusal}{ADVICE.get(refusal, '')}")


def resend_all(ids: Collection[UUID], order: Order) -> Refusals:
    """Send messages again, in one transaction; return why not for each, None if it is sent."""
    now = datetime.now(UTC)
    with transaction():
        rows = ledger.lock_outcomes(ids)
        messages = resends.with_accounts(rows)
        found = [message for message, _ in messages]
        owners = ownership.of_messages(found)
        refusals = refusals_of(found, order, owners)
        chosen = [pair for pair in messages if refusals[pair[0].id] is None]
        columns = [_columns(message, account, owners, now) for message, account in chosen]
        if columns:
            resends.start_over(columns)
            record.apply([report for row in columns for report in _reports(row, order)], rows)
    events.sent_again([row["key"] for row in columns])
    if columns:
        components().queue.request(DELIVER)
    return refusals


def examine(ids: Collection[UUID], order: Order) -> Refusals:
    """Return why messages would not be sent again, None if they would. Changes nothing."""
    with transaction():
        messages = [message for message, _ in resends.with_accounts(ids)]
        return refusals_of(messages, order, ownership.of_messages(messages))


def _columns(
    message: Message, client_account: str | None, owners: Owners, now: datetime
) -> dict[str, Any]:
    """Return the columns with which a message starts over, at the first provider of its route."""
    present = Alternative(message.provider, message.account, ownership.sender_of(message))
    place = first_of_route(message, client_account, owners) or present
    return {
        "key": message.id,
        "provider": place.provider,
        "account": place.account,
        "sender": place.sender.address,
        "messaging_service_sid": place.sender.messaging_service_sid,
        # The resend has a number, too: reports about earlier attempts rank below it.
        "attempts": message.attempts + 1,
        "tries": 0,
        "tried_since": None,
        "resent_at": now,
        "expires_at": max(now, message.send_at or now)
        + patience(place.provider, message.validity_period),
        "submitted_at": None,
        "lookups": 0,
    }


def _reports(columns: Mapping[str, Any], order: Order) -> Iterator[StatusReport]:
    """Yield the resend, and the decision of an operator."""
    resend = StatusReport(
        provider=columns["provider"],
        source=order.source,
        word=RESEND,
        status=Status.PENDING,
        received_at=columns["resent_at"],
        message_id=columns["key"],
        attempt_number=columns["attempts"],
    )
    yield resend
    if order.operator is not None:
        raw = {"operator": order.operator}
        yield resend._replace(word=f"{DECISION}resent", status=None, raw=raw)
