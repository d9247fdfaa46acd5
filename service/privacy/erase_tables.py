"""Every place, beside the messages to it, where a number that is forgotten may stand.

Each function reads one table, or the inbox, to its end, a page at a time, and returns in how many
rows it found the number. Rows are locked only where it was found.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final

from service.components import components
from service.database import Model, transaction
from service.database.batches import BATCH
from service.models import Attempt, DeadLetter, Message, Overflow, StatusEvent
from service.privacy.mentions import Mention
from service.queries import callbacks, opt_outs, redaction, table_scan
from service.recording.redaction import redact_orphan
from service.recording.rows import random_identity

# What a client may have written beside the recipient, and what is sent, while it may still be sent.
_NOTED: Final = ("reference", "details", "error_message")
_SENT: Final = ("body", "media_urls", "content_variables")
_EVENT: Final = ("word", "provider_time", "error_message", "raw")


def messages(mention: Mention, name: str) -> int:
    """Take the number out of messages to others; mark those to it that are spelled differently."""
    own, count = list[Any](), 0
    for ids in _pages(mention, Message, ("to", "idempotency_key", *_NOTED, *_SENT)):
        with transaction():
            for row in table_scan.locked(Message, ids):
                if mention.is_address(row.to):
                    own.append(row.id)
                else:
                    _clear(row, mention)
            redaction.mark_these(own, name)
        count += len(ids) - len(own)
        own.clear()
    return count


def events(mention: Mention) -> tuple[int, int]:
    """Take the number out of the ledger; return how many orphans, and other events."""
    orphans, others = 0, 0
    for ids in _pages(mention, StatusEvent, _EVENT):
        with transaction():
            for event in table_scan.locked(StatusEvent, ids):
                orphans += event.message_id is None
                others += event.message_id is not None
                _hide(event, mention)
    return orphans, others


def attempts(mention: Mention) -> int:
    """Take the number out of what providers answered."""
    return _replace(mention, Attempt, ("answer_text",))


def overflow(mention: Mention) -> int:
    """Take the number out of callbacks that wait in the database; they are recorded without it."""
    return _replace(mention, Overflow, ("body",))


def dead_letters(mention: Mention) -> int:
    """Delete the dead letters that hold the number: they could not be parsed, to redact them."""
    count = 0
    for ids in _pages(mention, DeadLetter, ("body", "error")):
        with transaction():
            callbacks.drop_dead_letters(ids)
        count += len(ids)
    return count


def opted_out(mention: Mention) -> int:
    """Delete the opt-outs of the number over every channel; return how many."""
    count, after = 0, ""
    while recipients := table_scan.opted_out(after, BATCH):
        with transaction():
            count += opt_outs.remove([to for to in recipients if mention.is_address(to)])
        after = recipients[-1]
    return count


def inbox(mention: Mention) -> int:
    """Put callbacks that are not recorded yet back into the inbox without the number.

    A process that dies between the two steps, or a worker that took the old entry, records some
    twice: the ledger counts repeats. Callbacks that come meanwhile are not searched. Raises
    RedisError and InboxUnavailable.
    """
    inbox, count, after = components().inbox, 0, "0"
    for _ in range(inbox.lag() // BATCH + 1):
        page = inbox.page(after, BATCH)
        for entry in page:
            body = mention.replaced(entry.callback.body)
            if body != entry.callback.body:
                inbox.put(entry.callback._replace(body=body))
                inbox.ack([entry])
                count += 1
        if len(page) < BATCH:
            break
        after = page[-1].id
    return count


def _replace(mention: Mention, model: type[Model], columns: Sequence[str]) -> int:
    count = 0
    for ids in _pages(mention, model, columns):
        with transaction():
            for row in table_scan.locked(model, ids):
                _each(row, columns, mention.replaced)
        count += len(ids)
    return count


def _pages(mention: Mention, model: type[Model], columns: Sequence[str]) -> Iterator[list[Any]]:
    """Yield the ids of rows that hold the number, page by page."""
    after: Any = None
    while page := table_scan.page(model, columns, after, BATCH):
        if ids := [row[0] for row in page if mention.is_in(*row[1:])]:
            yield ids
        after = page[-1][0]


def _clear(message: Message, mention: Mention) -> None:
    """Take the number out of a message to another; its text stays until it cannot be sent."""
    if mention.is_in(message.idempotency_key):
        message.idempotency_key = None
    ended = message.final_at is not None or message.unknown_since is not None
    _each(message, (*_NOTED, *_SENT) if ended else _NOTED, mention.replaced)


def _hide(event: StatusEvent, mention: Mention) -> None:
    if event.message_id is None:
        redact_orphan(event)
    if mention.is_in(event.error_message):
        event.identity = random_identity(event.identity)
    _each(event, _EVENT, mention.replaced)


def _each(row: Any, columns: Sequence[str], change: Callable[[Any], Any]) -> None:
    for name in columns:
        value = getattr(row, name)
        if value is not None:
            setattr(row, name, change(value))
