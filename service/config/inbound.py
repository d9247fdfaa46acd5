"""Settings of inbound messages and of the senders of clients."""

from collections.abc import Collection
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, Field

from service.domain.keywords import WORDS, Keyword, Words


def _words(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    return tuple(" ".join(word.split()).casefold() for word in value.split(",") if word.strip())


MoreWords = Annotated[tuple[str, ...], BeforeValidator(_words)]


class InboundSettings(BaseModel):
    """Settings of inbound messages and of the senders of clients."""

    stop_words: MoreWords = Field(
        default=(),
        description="Further words with which a recipient opts out, such as ARRET,AVBRYT. STOP and "
        "the others that Twilio knows always count.",
    )
    start_words: MoreWords = Field(
        default=(), description="Further words with which a recipient opts in again."
    )
    help_words: MoreWords = Field(
        default=(), description="Further words with which a recipient asks for help."
    )
    inbound_list_every: float = Field(
        default=300.0,
        ge=0,
        le=86_400,
        description="Seconds between two reads of the provider's list of inbound messages, which "
        "find those that did not arrive here. The default is 5 minutes; 0: never.",
    )
    sender_ownership: Literal["open", "enforced"] = Field(
        default="open",
        description="enforced: a client may send only from senders that `clients senders add` gave "
        "it. open: from any sender.",
    )

    @property
    def opt_out_words(self) -> Words:
        """Return the words of each meaning: those that always count, and those of the settings."""
        more: dict[Keyword, Collection[str]] = {
            Keyword.STOP: self.stop_words,
            Keyword.START: self.start_words,
            Keyword.HELP: self.help_words,
        }
        return {keyword: {*WORDS[keyword], *more[keyword]} for keyword in Keyword}
