"""Words with which recipients opt out, opt in again, or ask for help."""

from collections.abc import Collection, Mapping
from enum import StrEnum
from typing import Final


class Keyword(StrEnum):
    """What a message that consists of one such word means."""

    STOP = "stop"
    START = "start"
    HELP = "help"


Words = Mapping[Keyword, Collection[str]]

# https://www.twilio.com/en-us/blog/update-to-fcc-s-sms-opt-out-keywords
# https://www.twilio.com/docs/api/errors/23002
WORDS: Final[Words] = {
    Keyword.STOP: frozenset(
        ("stop", "stopall", "unsubscribe", "cancel", "end", "quit", "revoke", "optout")
    ),
    Keyword.START: frozenset(("start", "yes", "unstop")),
    Keyword.HELP: frozenset(("help", "info")),
}


def keyword_in(text: str | None, words: Words = WORDS) -> Keyword | None:
    """Return the meaning of a text that is one of the words, in any case; None for another text."""
    word = " ".join((text or "").split()).casefold()
    return next((keyword for keyword, known in words.items() if word in known), None)
