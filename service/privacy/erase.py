"""Erase a phone number from the tables and the inbox.

Every message in both directions, attempt and event stays, with its status and times. `erase_tables`
has one function for each place that can hold a number, `erase_waiting` for callbacks that wait.
"""

import secrets
from collections.abc import Sequence
from typing import Final, NamedTuple
from uuid import UUID

from redis.exceptions import RedisError

from service import addresses
from service.components import components
from service.database import transaction
from service.database.batches import BATCH
from service.errors import FieldError, InboxUnavailable, Invalid
from service.privacy import erase_tables, erase_waiting, redact
from service.privacy.number_pattern import NumberPattern
from service.queries import redaction

_MAX_LISTED: Final = 100


class Erasure(NamedTuple):
    """What was erased."""

    redacted: int
    under_way: list[tuple[UUID, str]]  # up to `_MAX_LISTED` messages, erased when they end
    orphans: int
    dead_letters: int
    opt_outs: int
    inbound: int = 0  # messages from the number
    mentions: int = 0  # rows of other messages, and callbacks, that held the number
    inbox_searched: bool = True  # False: Redis did not answer


def erase_number(number: str, *, keep_opt_outs: bool = False) -> Erasure:
    """Erase a number, and replace it by a random pseudonym; `keep_opt_outs` leaves its opt-outs.

    Runs in short transactions: it can be stopped, and run again, at any point. Raises Invalid.
    """
    try:
        number = addresses.number(number, components().settings.default_region)
    except addresses.UnusableAddress as error:
        problem = [FieldError("number", str(error))]
        raise Invalid("the number cannot be forgotten", problem) from None
    # Random: a hash of a number could be computed for all numbers, and so be reversed.
    pseudonym = redaction.PSEUDONYM + secrets.token_hex(8)
    pattern, recipients = NumberPattern(number), addresses.addresses_of(number)
    redacted = _erase_messages(recipients, pseudonym)
    # What waits is erased first: what is recorded meanwhile is then in a table. The overflow comes
    # before the inbox, to which it returns.
    callbacks = erase_waiting.overflow(pattern)
    entries, searched = _erase_inbox(pattern)
    others = erase_tables.messages(pattern, pseudonym)
    redacted += redact.erase_marked()
    orphans, events = erase_tables.events(pattern)
    texts = erase_tables.attempts(pattern) + erase_tables.webhook_endpoints(pattern)
    inbound, quoting = erase_tables.inbound(pattern, pseudonym)
    dead_letters = erase_tables.dead_letters(pattern)
    opt_outs = 0 if keep_opt_outs else erase_tables.opt_outs(pattern)
    with transaction():
        under_way = redaction.under_way(recipients, _MAX_LISTED)
    mentions = callbacks + entries + others + events + texts + quoting
    return Erasure(
        redacted, under_way, orphans, dead_letters, opt_outs, inbound, mentions, searched
    )


def _erase_messages(recipients: Sequence[str], pseudonym: str) -> int:
    """Mark all messages to a number and erase the ended ones; a sweep erases the others later."""
    erased, message_ids = 0, redaction.messages_to(recipients)
    for start in range(0, len(message_ids), BATCH):
        ids = message_ids[start : start + BATCH]
        with transaction():
            rows = redaction.lock(ids)
            redaction.mark(ids, pseudonym)
            ended = [row.id for row in rows if row.ended]
            redact.erase_messages(ended)
        erased += len(ended)
    return erased


def _erase_inbox(pattern: NumberPattern) -> tuple[int, bool]:
    try:
        return erase_waiting.inbox(pattern), True
    except (RedisError, InboxUnavailable):
        return 0, False
