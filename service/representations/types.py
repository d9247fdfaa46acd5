"""Types of messages and of their events in the JSON of the API.

The type checker compares `messages` with them; the OpenAPI document is made from them.
"""

from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import Field
from typing_extensions import TypedDict

from service.domain.report import Source
from service.domain.status import Status

Time = Annotated[str, Field(json_schema_extra={"format": "date-time"})]


class Error(TypedDict):
    """Why a message failed, or why its outcome is unknown."""

    code: Annotated[str, Field(description="The code of the provider or of Waybill.")]
    message: Annotated[str | None, Field(description="The provider's text.")]
    explanation: Annotated[str, Field(description="What happened and what to do.")]
    retryable: Annotated[
        bool,
        Field(description="True if sending the same text to the same number again could succeed."),
    ]


class Waiting(TypedDict):
    """Why a pending message waits, although it is due. Its deadline still counts."""

    reason: Annotated[
        str, Field(examples=["the provider account is blocked by the provider (error 20005)"])
    ]
    since: Time


class Price(TypedDict):
    """The provider's charge, as a negative amount."""

    amount: Annotated[str, Field(examples=["-0.0079"])]
    currency: Annotated[str | None, Field(examples=["USD"])]


_Sender = TypedDict(
    "_Sender",
    {"from": Annotated[str | None, Field(description="Null if a Messaging Service picks it.")]},
)


class Request(_Sender):
    """The request of the client, and the id of the message."""

    id: UUID
    test: Annotated[bool, Field(description="True for a test key: nothing is sent.")]
    redacted: Annotated[bool, Field(description="True if text and media are deleted.")]
    provider: Annotated[str, Field(examples=["twilio"])]
    account: Annotated[str, Field(description="The account of the provider.")]
    to: str
    messaging_service_sid: str | None
    body: str | None
    media_urls: list[str] | None
    content_sid: str | None
    content_variables: dict[str, str] | None
    send_at: Time | None
    validity_period: int | None
    expires_at: Annotated[Time | None, Field(description="It is never sent after this time.")]
    reference: str | None
    metadata: dict[str, Any]
    priority: Literal["high", "normal"]
    resend_if_unknown: bool
    smart_encoding: bool
    encoding: Annotated[
        str | None,
        Field(
            description="Encoding of the SMS; null for media, templates and other channels.",
            json_schema_extra={"enum": ["gsm-7", "ucs-2", None]},
        ),
    ]
    webhook_endpoint: Annotated[
        UUID | None,
        Field(description="The webhook endpoint to which its events go. Null: to all of yours."),
    ]
    created_at: Time


class Message(Request):
    """A message with its current status."""

    version: Annotated[
        int,
        Field(
            ge=1,
            description="Rises with each change of the message: of two copies, the one with the "
            "higher version is newer.",
        ),
    ]
    status: Status
    final: Annotated[bool, Field(description="True if no further status is expected.")]
    provider_sid: Annotated[str | None, Field(description="The provider's id of the message.")]
    waiting: Annotated[
        Waiting | None,
        Field(description="Set while the message waits for a block or a pause to end."),
    ]
    error: Error | None
    conflict: Annotated[bool, Field(description="True if reported delivered and not delivered.")]
    segments: Annotated[
        int | None,
        Field(description="Estimated when accepted; later the count of the provider."),
    ]
    price: Price | None
    submitted_at: Time | None
    final_at: Time | None
    updated_at: Time


class Event(TypedDict):
    """A report about a message. Equal reports are one event."""

    status: Annotated[Status | None, Field(description="Null if the report implies no status.")]
    provider_status: Annotated[str, Field(description="The provider's word for the status.")]
    source: Source
    provider: str
    provider_sid: str | None
    attempt_id: UUID | None
    error_code: str | None
    error_message: str | None
    received_at: Time
    provider_time: Annotated[str | None, Field(description="The provider's text; no time zone.")]
    repeats: Annotated[int, Field(ge=0, description="How often the report was repeated.")]
    raw: Annotated[dict[str, Any], Field(description="The report as received.")]


class FeedItem(TypedDict):
    """An event of the feed: the message as it is now."""

    id: Annotated[str, Field(description="The `webhook-id` of the same event.")]
    type: Literal["message.updated"]
    timestamp: Annotated[Time, Field(description="When the message changed.")]
    data: Message
