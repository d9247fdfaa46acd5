"""Erase a number from the tables, beside the messages to it.

Each function reads one table, page by page, and returns in how many rows it found the number. It
locks only those rows.
"""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Any, Final

from service.database import Model, transaction
from service.database.batches import BATCH
from service.models import (
    Attempt,
    DeadLetter,
    InboundMessage,
    Message,
    StatusEvent,
    WebhookEndpoint,
)
from service.privacy import redact
from service.privacy.number_pattern import NumberPattern
from service.queries import callbacks, inbound_redaction, redaction, table_scan
from service.queries import opt_outs as opt_out_queries
from service.recording.redaction import redact_orphan
from service.recording.rows import random_identity

# What a client can write beside the recipient; and the content, which stays until it is sent.
_NOTES: Final = ("reference", "details", "error_message")
_CONTENT: Final = ("body", "media_urls", "content_variables")
_EVENT: Final = ("word", "provider_time", "error_message", "raw")
_INBOUND: Final = ("body", "media", "raw")


def messages(pattern: NumberPattern, pseudonym: str) -> int:
    """Erase the number from messages to others; mark those to it in another spelling."""
    count = 0
    columns = ("to", "idempotency_key", *_NOTES, *_CONTENT)
    for ids in matching_pages(pattern, Message, columns):
        with transaction():
            rows = table_scan.locked(Message, ids)
            to_number = [row.id for row in rows if pattern.is_address(row.to)]
            for row in rows:
                if row.id not in to_number:
                    _mask_message(row, pattern)
            redaction.mark(to_number, pseudonym)
        count += len(ids) - len(to_number)
    return count


def events(pattern: NumberPattern) -> tuple[int, int]:
    """Erase the number from the ledger; return the number of orphans and of other events."""
    orphans, others = 0, 0
    for ids in matching_pages(pattern, StatusEvent, _EVENT):
        with transaction():
            for event in table_scan.locked(StatusEvent, ids):
                orphans += event.message_id is None
                others += event.message_id is not None
                _mask_event(event, pattern)
    return orphans, others


def inbound(pattern: NumberPattern, pseudonym: str) -> tuple[int, int]:
    """Redact and erase inbound messages from the number; erase it from those of others.

    Returns the number of each.
    """
    own, others = 0, 0
    for ids in matching_pages(pattern, InboundMessage, ("from_address", *_INBOUND)):
        with transaction():
            rows = table_scan.locked(InboundMessage, ids)
            erased = [
                {**redact.redacted_inbound(row, datetime.now(UTC)), "from_address": pseudonym}
                for row in rows
                if pattern.is_address(row.from_address)
            ]
            inbound_redaction.update_messages(erased)
            for row in rows:
                if not pattern.is_address(row.from_address):
                    mask_row(row, _INBOUND, pattern)
        own, others = own + len(erased), others + len(rows) - len(erased)
    return own, others


def attempts(pattern: NumberPattern) -> int:
    """Erase the number from the provider's answers."""
    return _mask_table(pattern, Attempt, ("answer_text",))


def webhook_endpoints(pattern: NumberPattern) -> int:
    """Erase the number from descriptions of endpoints. In a URL it stays: it is the address."""
    return _mask_table(pattern, WebhookEndpoint, ("description",))


def dead_letters(pattern: NumberPattern) -> int:
    """Delete the dead letters that hold the number: they cannot be parsed and redacted."""
    count = 0
    for ids in matching_pages(pattern, DeadLetter, ("body", "error")):
        with transaction():
            callbacks.delete_dead_letters(ids)
        count += len(ids)
    return count


def opt_outs(pattern: NumberPattern) -> int:
    """Delete the opt-outs of the number over every channel."""
    count, after = 0, ""
    while recipients := table_scan.opted_out(after, BATCH):
        with transaction():
            count += opt_out_queries.remove([to for to in recipients if pattern.is_address(to)])
        after = recipients[-1]
    return count


def matching_pages(
    pattern: NumberPattern, model: type[Model], columns: Sequence[str]
) -> Iterator[list[Any]]:
    """Yield the ids of rows that hold the number, page by page."""
    after: Any = None
    while page := table_scan.page(model, columns, after, BATCH):
        if ids := [row[0] for row in page if pattern.is_in(*row[1:])]:
            yield ids
        after = page[-1][0]


def _mask_table(pattern: NumberPattern, model: type[Model], columns: Sequence[str]) -> int:
    count = 0
    for ids in matching_pages(pattern, model, columns):
        with transaction():
            for row in table_scan.locked(model, ids):
                mask_row(row, columns, pattern)
        count += len(ids)
    return count


def _mask_message(message: Message, pattern: NumberPattern) -> None:
    if pattern.is_in(message.idempotency_key):
        message.idempotency_key = None
    ended = message.final_at is not None or message.unknown_since is not None
    mask_row(message, (*_NOTES, *_CONTENT) if ended else _NOTES, pattern)


def _mask_event(event: StatusEvent, pattern: NumberPattern) -> None:
    if event.message_id is None:
        redact_orphan(event)
    if pattern.is_in(event.error_message):
        event.identity = random_identity(event.identity)
    mask_row(event, _EVENT, pattern)


def mask_row(row: Any, columns: Sequence[str], pattern: NumberPattern) -> None:
    """Replace the digits of the number in these columns by nines."""
    for name in columns:
        value = getattr(row, name)
        if value is not None:
            setattr(row, name, pattern.mask(value))
