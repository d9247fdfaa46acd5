"""Types of inbound messages in the JSON of the API."""

from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import Field
from typing_extensions import TypedDict

from service.domain.keywords import Keyword
from service.representations.types import Time

_Parties = TypedDict(
    "_Parties",
    {
        "from": Annotated[str, Field(description="The person who wrote.")],
        "to": Annotated[str, Field(description="The sender of yours that was written to.")],
    },
)


class InboundMessage(_Parties):
    """A message from a person to one of your senders."""

    id: UUID
    test: Annotated[bool, Field(description="True for a message that a test key provoked.")]
    redacted: Annotated[bool, Field(description="True if text and media are deleted.")]
    provider: str
    account: str
    provider_sid: Annotated[str, Field(description="The provider's id of the message.")]
    messaging_service_sid: str | None
    body: str | None
    media: Annotated[
        list[dict[str, str | None]], Field(description="Each with `url` and `content_type`.")
    ]
    keyword: Annotated[
        Keyword | None,
        Field(description="What the message means if it is one word such as STOP, START or HELP."),
    ]
    in_reply_to: Annotated[UUID | None, Field(description="Your message that it answers.")]
    received_at: Annotated[Time, Field(description="When Waybill received it.")]
    provider_time: Annotated[
        Time | None, Field(description="When the provider received it, if the provider says so.")
    ]
    raw: Annotated[dict[str, Any], Field(description="The message as received.")]


class ReceivedFeedItem(TypedDict):
    """An event of the feed: a message from a person, as it is now."""

    id: Annotated[str, Field(description="The `webhook-id` of the same event.")]
    type: Literal["message.received"]
    timestamp: Annotated[Time, Field(description="When the message was recorded.")]
    data: InboundMessage


class MessageReceived(TypedDict):
    """The body of a webhook. `data` has its content only for endpoints with `include_body`."""

    type: Annotated[str, Field(json_schema_extra={"const": "message.received"})]
    timestamp: Annotated[Time, Field(description="When the message was recorded.")]
    data: InboundMessage
