"""Sends messages again that failed or expired without having been on the air.

A resend is a report of ours, with a number between those of the attempts before and after it: it
outranks what was reported about the attempts before, except for a delivery. See
docs/adr/0040-send-again.md.
"""

from collections.abc import Collection, Iterator, Mapping
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, Final, NamedTuple
from uuid import UUID

from service.components import components
from service.database import transaction
from service.domain.report import Source, StatusReport
from service.domain.status import ON_AIR, Status, is_final
from service.errors import OUTCOME_UNKNOWN, Conflict, NotFound
from service.models import Message
from service.observability import events
from service.providers.base import Sender
from service.queries import attempts, ledger, message_details, resends
from service.recording import record
from service.recording.redaction import DECISION
from service.retry_policy import patience
from service.sending.alternatives import Alternative, first_of_route, is_configured
from service.task_queue.queue import DELIVER

# The word of the ledger entry.
RESEND: Final = "resend"
# The outcome of a message has a bit for each number up to 62. Attempts after the last resend need
# some of them.
_MAX_NUMBER: Final = 58


class Refusal(StrEnum):
    """Why a message is not sent again."""

    NOT_FINAL = "the message has not ended"
    CANCELED = "the message was canceled"
    ON_AIR = "the message was sent: a second copy could arrive"
    OPTED_OUT = "the recipient opted out"
    REDACTED = "the text of the message is deleted"
    TOO_OFTEN = "the message was tried too often"
    NOT_CONFIGURED = "the provider or the account of the message is no longer configured"
    UNKNOWN = "it is unknown whether the message was sent"


_ADVICE: Final[Mapping[Refusal, str]] = {
    Refusal.NOT_FINAL: "; wait until it has a final status",
    Refusal.CANCELED: "; post a new message",
    Refusal.REDACTED: "; post a new message",
    Refusal.TOO_OFTEN: "; post a new message",
    Refusal.UNKNOWN: "; use confirm_duplicate: true if a second copy is acceptable",
}


class Order(NamedTuple):
    """Who wants messages sent again. `confirmed`: also if that may be a second copy."""

    source: Source
    confirmed: bool = False
    operator: str | None = None


Refusals = Mapping[UUID, Refusal | None]


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
        raise Conflict(f"not sent again: {refusal}{_ADVICE.get(refusal, '')}")


def resend_all(ids: Collection[UUID], order: Order) -> Refusals:
    """Send messages again, in one transaction; return why not for each, None if it is sent."""
    now = datetime.now(UTC)
    with transaction():
        rows = ledger.lock_outcomes(ids)
        messages = resends.with_accounts(rows)
        refusals = _refusals([message for message, _ in messages], order)
        chosen = [pair for pair in messages if refusals[pair[0].id] is None]
        columns = [_columns(message, account, now) for message, account in chosen]
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
        return _refusals(messages, order)


def _refusals(messages: Collection[Message], order: Order) -> Refusals:
    ids = [message.id for message in messages]
    transmitted = resends.on_air(ids) if ids else set()
    unknown = set() if order.confirmed else attempts.without_outcome(ids)
    return {
        message.id: _refusal(message)
        or (Refusal.ON_AIR if message.id in transmitted else None)
        or (Refusal.UNKNOWN if message.id in unknown or _is_unknown(message, order) else None)
        for message in messages
    }


def _refusal(message: Message) -> Refusal | None:
    """Return why a message is not sent again, as far as its row tells."""
    rules = (
        (message.status in ON_AIR, Refusal.ON_AIR),
        (not is_final(message.status), Refusal.NOT_FINAL),
        (message.status is Status.CANCELED, Refusal.CANCELED),
        (_opted_out(message), Refusal.OPTED_OUT),
        (message.redacted_at is not None or message.forget_as is not None, Refusal.REDACTED),
        (message.attempts >= _MAX_NUMBER, Refusal.TOO_OFTEN),
        (not (is_configured(message) or first_of_route(message, None)), Refusal.NOT_CONFIGURED),
    )
    return next((refusal for applies, refusal in rules if applies), None)


def _is_unknown(message: Message, order: Order) -> bool:
    return message.error_code == OUTCOME_UNKNOWN and not order.confirmed


def _opted_out(message: Message) -> bool:
    code = message.error_code
    return code is not None and components().explain(message.provider, code).opted_out


def _columns(message: Message, client_account: str | None, now: datetime) -> dict[str, Any]:
    """Return the columns with which a message starts over, at the first provider of its route."""
    sender = Sender(message.sender, message.messaging_service_sid)
    present = Alternative(message.provider, message.account, sender)
    place = first_of_route(message, client_account) or present
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
