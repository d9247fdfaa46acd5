"""Words with which recipients opt out, opt in again, or ask for help."""

import re
import unicodedata
from collections.abc import Collection, Mapping
from enum import StrEnum
from typing import Final


class Keyword(StrEnum):
    """What a message that consists of one such word means."""

    STOP = "stop"
    START = "start"
    HELP = "help"


Words = Mapping[Keyword, Collection[str]]

# Those that providers in the USA know; docs/opt-outs.md has the sources.
WORDS: Final[Words] = {
    Keyword.STOP: frozenset(
        ("stop", "stopall", "unsubscribe", "cancel", "end", "quit", "revoke", "optout")
    ),
    Keyword.START: frozenset(("start", "yes", "unstop")),
    Keyword.HELP: frozenset(("help", "info")),
}
# Characters of a word, so that a long text is not searched.
LONGEST: Final = 40
# Signs around a word. Providers describe the bare word only; a person who writes "STOP." means it.
_AROUND: Final = re.compile(r"^[\W_]+|[\W_]+$")


def word_of(text: str) -> str:
    """Return a text as words are compared: case, width, spaces and signs around it do not count."""
    plain = unicodedata.normalize("NFKC", text).casefold()
    return _AROUND.sub("", " ".join(plain.split()))


def keyword_in(text: str | None, words: Words = WORDS) -> Keyword | None:
    """Return the meaning of a text that is one of the words; None for another text."""
    if not text or len(text) > 2 * LONGEST:
        return None
    word = word_of(text)
    return next((keyword for keyword, listed in words.items() if word in listed), None)
