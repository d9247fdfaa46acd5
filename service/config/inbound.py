"""Settings of inbound messages and of the senders of clients."""

from collections.abc import Collection
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, Field, ValidationInfo, field_validator

from service.domain.keywords import LONGEST, WORDS, Keyword, Words, word_of


def _words(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    words = tuple(word_of(word) for word in value.split(",") if word.strip())
    for word in words:
        if not 0 < len(word) <= LONGEST:
            raise ValueError(
                f"must be words of up to {LONGEST} characters, separated by commas, such as "
                "ARRET,AVBRYT"
            )
    return words


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

    @field_validator("stop_words", "start_words", "help_words")
    @classmethod
    def _one_meaning(cls, words: tuple[str, ...], info: ValidationInfo) -> tuple[str, ...]:
        """Refuse a word that has another meaning: always, or by a setting above."""
        for keyword in Keyword:
            name = f"{keyword}_words"
            if name != info.field_name:
                other = {*WORDS[keyword], *info.data.get(name, ())}
                if shared := other.intersection(words):
                    raise ValueError(f"has {min(shared)}, which means {keyword}; remove it")
        return words

    @property
    def opt_out_words(self) -> Words:
        """Return the words of each meaning: those that always count, and those of the settings."""
        more: dict[Keyword, Collection[str]] = {
            Keyword.STOP: self.stop_words,
            Keyword.START: self.start_words,
            Keyword.HELP: self.help_words,
        }
        return {keyword: {*WORDS[keyword], *more[keyword]} for keyword in Keyword}
