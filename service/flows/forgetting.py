"""Forget: take a number, and all that was written to it, out of the tables.

The accounts stay: every message, attempt and event is still there, with its status and its times.
"""

import json
import re
import secrets
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Final, NamedTuple
from uuid import UUID

from service import addresses
from service.errors import FieldError, Invalid
from service.extensions import parts, transaction
from service.flows import redacting
from service.flows.sweeping import BATCH
from service.models import DeadLetter, StatusEvent
from service.store import aside, opt_outs, redaction

_MOST_LISTED: Final = 100


class Forgotten(NamedTuple):
    """What was done about a number."""

    redacted: int
    under_way: list[tuple[UUID, str]]  # up to `_MOST_LISTED`: redacted when they end
    orphans: int
    dead_letters: int
    opt_outs: int


def forget(number: str) -> Forgotten:
    """Redact what the tables hold about a number, and replace it by a name nobody can read back.

    In short transactions, so that it may be ended and run again at any point. Raises Invalid.
    """
    try:
        number = addresses.number(number, parts().settings.default_region)
    except addresses.UnusableAddress as error:
        problem = [FieldError("number", str(error))]
        raise Invalid("the number cannot be forgotten", problem) from None
    everywhere = addresses.addresses_of(number)
    redacted = _messages(everywhere)
    mentions = _mentions(number)
    orphans, letters = _orphans(mentions), _dead_letters(mentions)
    with transaction():
        gone = opt_outs.remove(everywhere)
        under_way = redaction.still_to_forget(everywhere, _MOST_LISTED)
    return Forgotten(redacted, under_way, orphans, letters, gone)


def _messages(everywhere: list[str]) -> int:
    """Mark every message, and redact those that have ended; the sweep sees to the others."""
    # Drawn by lot: what is computed from a number can be computed for every number there is.
    name, done = redaction.FORGOTTEN + secrets.token_hex(8), 0
    while True:
        with transaction():
            ended, marked = redaction.mark(everywhere, name, BATCH)
            redacting.strip(ended, datetime.now(UTC))
            redaction.forget(ended)
        done += len(ended)
        if marked < BATCH:
            return done


def _mentions(number: str) -> Callable[[str], bool]:
    digits = number.removeprefix("+")
    found = re.compile(rf"(?<!\d){digits}(?!\d)")  # not inside of a longer number
    return lambda text: found.search(text) is not None


def _orphans(mentions: Callable[[str], bool]) -> int:
    """Redact the orphans that speak of the number: their message may come to be known yet."""
    after, done = 0, 0
    while True:
        with transaction():
            page = redaction.orphans(after, BATCH)
            told = [event for event in page if mentions(_all_of(event))]
            for event in told:
                redacting.hide_orphan(event)
        done += len(told)
        if len(page) < BATCH:
            return done
        after = page[-1].id


def _all_of(event: StatusEvent) -> str:
    return json.dumps([event.raw, event.error_message])


def _dead_letters(mentions: Callable[[str], bool]) -> int:
    """Delete the dead letters that hold the number: nobody can read what is in them, to redact."""
    after, done = 0, 0
    while True:
        with transaction():
            page = aside.dead_letters_past(after, BATCH)
            told = [one.id for one in page if mentions(_text_of(one))]
            aside.drop_dead_letters(told)
        done += len(told)
        if len(page) < BATCH:
            return done
        after = page[-1].id


def _text_of(letter: DeadLetter) -> str:
    return letter.body.decode(errors="replace") + letter.error
