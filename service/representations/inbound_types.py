"""Types of inbound messages in the JSON of the API."""

from typing import Annotated, Any
from uuid import UUID

from pydantic import Field
from typing_extensions import TypedDict

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
    provider: Annotated[str, Field(examples=["twilio"])]
    account: str
    provider_sid: Annotated[str, Field(description="The provider's id of the message.")]
    messaging_service_sid: str | None
    body: str | None
    media: Annotated[
        list[dict[str, str | None]], Field(description="Each with `url` and `content_type`.")
    ]
    keyword: Annotated[
        str | None,
        Field(
            description="What the message means if it is one word such as STOP, START or HELP.",
            json_schema_extra={"enum": ["stop", "start", "help", None]},
        ),
    ]
    in_reply_to: Annotated[UUID | None, Field(description="Your message that it answers.")]
    received_at: Annotated[Time, Field(description="When Waybill received it.")]
    provider_time: Annotated[
        Time | None, Field(description="When the provider received it, if the provider says so.")
    ]
    raw: Annotated[dict[str, Any], Field(description="The message as received.")]
