"""Parameters of the event feed."""

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field

from service.event_feed.cursor import decode
from service.web.api.schemas import Strict

NOW = "now"
EventType = Literal["message.updated", "message.received"]


def _cursor(text: str) -> str:
    if text != NOW:
        decode(text)
    return text


def _split(value: Any) -> Any:
    return [word.strip() for word in value.split(",")] if isinstance(value, str) else value


class EventQuery(Strict):
    """Parameters of the event feed."""

    after: Annotated[str, AfterValidator(_cursor)] | None = Field(
        default=None,
        description="The `next_cursor` of the last answer, or `now` for later events only. "
        "Default: the oldest event that is kept.",
    )
    types: Annotated[list[EventType], BeforeValidator(_split)] | None = Field(
        default=None,
        description="Only events of these types, separated by commas. Default: all.",
    )
    limit: int = Field(default=100, ge=1, le=500, description="How many events at most.")
    wait: float = Field(
        default=0,
        ge=0,
        le=25,
        description="Seconds to wait for an event if there is none. The answer may come earlier.",
    )
