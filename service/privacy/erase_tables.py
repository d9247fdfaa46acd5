"""Erase a number from the tables, beside the messages to it, and from the inbox.

Each function reads one table, or the inbox, page by page, and returns in how many rows it found the
number. It locks only those rows.
"""

from collections.abc import Iterator, Sequence
from typing import Any, Final

from service.components import components
from service.database import Model, transaction
from service.database.batches import BATCH
from service.models import (
    Attempt,
    DeadLetter,
    Message,
    Overflow,
    StatusEvent,
    WebhookEndpoint,
)
from service.privacy.number_pattern import NumberPattern
from service.queries import callbacks, redaction, table_scan
from service.queries import opt_outs as opt_out_queries
from service.recording.redaction import redact_orphan
from service.recording.rows import random_identity

# What a client can write beside the recipient; and the content, which stays until it is sent.
_NOTES: Final = ("reference", "details", "error_message")
_CONTENT: Final = ("body", "media_urls", "content_variables")
_EVENT: Final = ("word", "provider_time", "error_message", "raw")


def messages(pattern: NumberPattern, pseudonym: str) -> int:
    """Erase the number from messages to others; mark those to it in another spelling."""
    count = 0
    columns = ("to", "idempotency_key", *_NOTES, *_CONTENT)
    for ids in _matching_pages(pattern, Message, columns):
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
    for ids in _matching_pages(pattern, StatusEvent, _EVENT):
        with transaction():
            for event in table_scan.locked(StatusEvent, ids):
                orphans += event.message_id is None
                others += event.message_id is not None
                _mask_event(event, pattern)
    return orphans, others


def attempts(pattern: NumberPattern) -> int:
    """Erase the number from the provider's answers."""
    return _mask_table(pattern, Attempt, ("answer_text",))


def webhook_endpoints(pattern: NumberPattern) -> int:
    """Erase the number from descriptions of endpoints. In a URL it stays: it is the address."""
    return _mask_table(pattern, WebhookEndpoint, ("description",))


def overflow(pattern: NumberPattern) -> int:
    """Erase the number from callbacks in the overflow; they are then recorded without it."""
    return _mask_table(pattern, Overflow, ("body",))


def dead_letters(pattern: NumberPattern) -> int:
    """Delete the dead letters that hold the number: they cannot be parsed and redacted."""
    count = 0
    for ids in _matching_pages(pattern, DeadLetter, ("body", "error")):
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


def inbox(pattern: NumberPattern) -> int:
    """Replace callbacks in the inbox by copies without the number.

    If the process dies between the two steps, or a worker has already taken the old entry, the
    callback is recorded twice: the ledger counts it as a repeat. Callbacks that arrive meanwhile
    are not searched. Raises RedisError and InboxUnavailable.
    """
    inbox, count, after = components().inbox, 0, "0"
    for _ in range(inbox.lag() // BATCH + 1):
        page = inbox.page(after, BATCH)
        for entry in page:
            body = pattern.mask(entry.callback.body)
            if body != entry.callback.body:
                inbox.put(entry.callback._replace(body=body))
                inbox.ack([entry])
                count += 1
        if len(page) < BATCH:
            break
        after = page[-1].id
    return count


def _matching_pages(
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
    for ids in _matching_pages(pattern, model, columns):
        with transaction():
            for row in table_scan.locked(model, ids):
                _mask_row(row, columns, pattern)
        count += len(ids)
    return count


def _mask_message(message: Message, pattern: NumberPattern) -> None:
    if pattern.is_in(message.idempotency_key):
        message.idempotency_key = None
    ended = message.final_at is not None or message.unknown_since is not None
    _mask_row(message, (*_NOTES, *_CONTENT) if ended else _NOTES, pattern)


def _mask_event(event: StatusEvent, pattern: NumberPattern) -> None:
    if event.message_id is None:
        redact_orphan(event)
    if pattern.is_in(event.error_message):
        event.identity = random_identity(event.identity)
    _mask_row(event, _EVENT, pattern)


def _mask_row(row: Any, columns: Sequence[str], pattern: NumberPattern) -> None:
    for name in columns:
        value = getattr(row, name)
        if value is not None:
            setattr(row, name, pattern.mask(value))
