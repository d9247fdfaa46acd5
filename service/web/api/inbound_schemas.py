"""Parameters of the list of inbound messages."""

from typing import Annotated
from uuid import UUID

from pydantic import AfterValidator, Field, ValidationInfo

from service import addresses
from service.domain.keywords import Keyword
from service.web.api.fields import SenderText, ShortText, Timestamp, region_of
from service.web.api.schemas import Strict


def _person(value: str, info: ValidationInfo) -> str:
    """Normalise an address from which a message can come: that of a person, else a sender's."""
    try:
        return addresses.recipient(value, region_of(info))
    except addresses.UnusableAddress:
        return addresses.sender(value, region_of(info))


class InboundQuery(Strict):
    """Filters and page of a list of inbound messages."""

    person: Annotated[ShortText, AfterValidator(_person)] | None = Field(
        default=None,
        alias="from",
        description="Messages from this person. A number without a channel matches every channel.",
    )
    to: SenderText | None = Field(default=None, description="Messages to this sender of yours.")
    keyword: Keyword | None = Field(
        default=None, description="Messages that mean this, in any of its words."
    )
    in_reply_to: UUID | None = Field(default=None, description="Replies to this message of yours.")
    received_after: Timestamp | None = Field(
        default=None, description="Messages received at this time or later."
    )
    received_before: Timestamp | None = Field(
        default=None, description="Messages received before this time."
    )
    cursor: UUID | None = Field(default=None, description="`next_cursor` of the previous page.")
    limit: int = Field(default=50, ge=1, le=200, description="Maximum number of messages.")
