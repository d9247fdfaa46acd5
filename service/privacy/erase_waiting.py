"""Erase a number from callbacks that wait in the inbox or in the overflow.

Callbacks about messages are recorded later, without the number. Inbound messages from the number
are recorded now: their text is the person's, too, and in the table it is erased with them.
"""

from service.components import components
from service.database import transaction
from service.database.batches import BATCH
from service.inbox.entry import Entry
from service.models import Overflow
from service.privacy.erase_tables import mask_row, matching_pages
from service.privacy.number_pattern import NumberPattern
from service.providers.base import Callback, Inbound
from service.queries import callbacks, table_scan
from service.queries.callbacks import callback_of
from service.recording.consume_inbox import record_callbacks


def inbox(pattern: NumberPattern) -> int:
    """Replace callbacks in the inbox by copies without the number; return how many.

    If the process dies between the two steps, or a worker has already taken the old entry, the
    callback is recorded twice: it counts as a repeat. Callbacks that arrive meanwhile are not
    searched. Raises RedisError and InboxUnavailable.
    """
    pages = components().inbox.pages(BATCH)
    return sum(_erase_entry(entry, pattern) for page in pages for entry in page)


def _erase_entry(entry: Entry, pattern: NumberPattern) -> bool:
    """Erase the number from an entry; return whether the entry is replaced."""
    inbox, callback = components().inbox, entry.callback
    if not pattern.is_in(callback.body):
        return False
    received = _is_from_number(callback, pattern)
    if received:
        record_callbacks([callback])
    else:
        inbox.put(callback._replace(body=pattern.mask(callback.body)))
    inbox.ack([entry])
    return not received


def overflow(pattern: NumberPattern) -> int:
    """Erase the number from callbacks in the overflow; return how many are masked."""
    count = 0
    for ids in matching_pages(pattern, Overflow, ("body",)):
        with transaction():
            rows = table_scan.locked(Overflow, ids)
            received = [row for row in rows if _is_from_number(callback_of(row), pattern)]
            for row in rows:
                if row not in received:
                    mask_row(row, ("body",), pattern)
        if received:
            record_callbacks([callback_of(row) for row in received])
            with transaction():
                callbacks.delete_overflow([row.id for row in received])
        count += len(ids) - len(received)
    return count


def _is_from_number(callback: Callback, pattern: NumberPattern) -> bool:
    provider = components().providers.get(callback.provider)
    parsed = provider.parse(callback) if provider else None
    return isinstance(parsed, Inbound) and pattern.is_address(parsed.from_address)
