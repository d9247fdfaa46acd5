"""Forget: take a number, and all that was written to it, out of the tables and the inbox.

The accounts stay: every message, attempt and event is still there, with its status and its times.
`places` lists where else a number may stand.
"""

import secrets
from typing import Final, NamedTuple
from uuid import UUID

from redis.exceptions import RedisError

from service import addresses
from service.components import components
from service.database import transaction
from service.database.batches import BATCH
from service.errors import FieldError, InboxUnavailable, Invalid
from service.privacy import erase_tables as places
from service.privacy import redact
from service.privacy.mentions import Mention
from service.queries import redaction

_MOST_LISTED: Final = 100
_OVERVIEW: Final = "overview"  # a page of /ops that Redis keeps for seconds; it shows numbers


class Forgotten(NamedTuple):
    """What was done about a number."""

    redacted: int
    under_way: list[tuple[UUID, str]]  # up to `_MOST_LISTED`: redacted when they end
    orphans: int
    dead_letters: int
    opt_outs: int
    mentions: int = 0  # rows of other messages, and callbacks, that held the number
    inbox_searched: bool = True  # False: Redis did not answer


def forget(number: str) -> Forgotten:
    """Redact what the tables hold about a number, and replace it by a name nobody can read back.

    In short transactions, so that it may be ended and run again at any point. Raises Invalid.
    """
    try:
        number = addresses.number(number, components().settings.default_region)
    except addresses.UnusableAddress as error:
        problem = [FieldError("number", str(error))]
        raise Invalid("the number cannot be forgotten", problem) from None
    # Drawn by lot: what is computed from a number can be computed for every number there is.
    name = redaction.FORGOTTEN + secrets.token_hex(8)
    mention, everywhere = Mention(number), addresses.addresses_of(number)
    redacted = _messages(everywhere, name)
    # The inbox first: callbacks that are recorded meanwhile are then in the tables.
    callbacks, searched = _inbox(mention)
    others = places.messages(mention, name)
    redacted += redact.forget_marked()
    orphans, events = places.events(mention)
    mentions = callbacks + others + events + places.attempts(mention) + places.overflow(mention)
    letters, gone = places.dead_letters(mention), places.opted_out(mention)
    components().cache.release(_OVERVIEW)
    with transaction():
        under_way = redaction.still_to_forget(everywhere, _MOST_LISTED)
    return Forgotten(redacted, under_way, orphans, letters, gone, mentions, searched)


def _messages(everywhere: list[str], name: str) -> int:
    """Mark every message, and redact those that have ended; the sweep sees to the others."""
    done = 0
    while True:
        with transaction():
            ended, marked = redaction.mark(everywhere, name, BATCH)
            redact.erase(ended)
        done += len(ended)
        if marked < BATCH:
            return done


def _inbox(mention: Mention) -> tuple[int, bool]:
    try:
        return places.inbox(mention), True
    except (RedisError, InboxUnavailable):
        return 0, False
