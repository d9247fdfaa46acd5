"""Parameters of the event feed."""

from typing import Annotated

from pydantic import AfterValidator, Field

from service.event_feed.cursor import decode
from service.web.api.schemas import Strict


def _position(text: str) -> str:
    decode(text)
    return text


class EventQuery(Strict):
    """Parameters of the event feed."""

    after: Annotated[str, AfterValidator(_position)] | None = Field(
        default=None, description="The `next_cursor` of the last answer. Default: the oldest event."
    )
    limit: int = Field(default=100, ge=1, le=500)
    wait: float = Field(default=0, ge=0, le=25)
