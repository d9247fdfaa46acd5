"""What a client is told: the shape of every answer.

`present` fills them, and the type checker holds it to that; the OpenAPI document is made of them.
"""

from typing import Annotated, Any, Final, Literal
from uuid import UUID

from pydantic import Field
from typing_extensions import TypedDict

from service.domain.report import Source
from service.domain.status import Status
from service.web.errors import Problem

Time = Annotated[str, Field(json_schema_extra={"format": "date-time"})]


class Error(TypedDict):
    """Why a message failed, or why more is not known of it."""

    code: Annotated[str, Field(description="The provider's code, or one of Waybill's own.")]
    message: Annotated[str | None, Field(description="The provider's own words.")]
    explanation: Annotated[str, Field(description="What happened, and what to do.")]
    retryable: Annotated[
        bool,
        Field(description="Whether a new send of the same text to the same number could succeed."),
    ]


class Price(TypedDict):
    """What the provider charged; a charge is a negative amount."""

    amount: Annotated[str, Field(examples=["-0.0079"])]
    currency: Annotated[str | None, Field(examples=["USD"])]


_Sender = TypedDict(
    "_Sender",
    {"from": Annotated[str | None, Field(description="The sender, where one was named.")]},
)


class Asked(_Sender):
    """What the client asked for, and under which id."""

    id: UUID
    test: Annotated[bool, Field(description="Posted with a test key: it reaches nobody.")]
    redacted: Annotated[bool, Field(description="Text and media were taken out, by age.")]
    provider: Annotated[str, Field(examples=["twilio"])]
    to: str
    messaging_service_sid: str | None
    body: str | None
    media_urls: list[str] | None
    content_sid: str | None
    content_variables: dict[str, str] | None
    send_at: Time | None
    validity_period: int | None
    reference: str | None
    metadata: dict[str, Any]
    priority: Literal["high", "normal"]
    resend_if_unknown: bool
    smart_encoding: bool
    encoding: Annotated[
        str | None,
        Field(
            description="Of the text as an SMS; null for media, templates and other channels.",
            json_schema_extra={"enum": ["gsm-7", "ucs-2", None]},
        ),
    ]
    created_at: Time


class Message(Asked):
    """A message as it stands."""

    status: Status
    final: Annotated[bool, Field(description="Nothing more is expected; it may still come.")]
    provider_sid: Annotated[str | None, Field(description="The provider's id of it.")]
    error: Error | None
    conflict: Annotated[bool, Field(description="Reported both delivered and not delivered.")]
    segments: Annotated[
        int | None,
        Field(description="As estimated when it was accepted; later the provider's own count."),
    ]
    price: Price | None
    submitted_at: Time | None
    final_at: Time | None
    updated_at: Time


class Event(TypedDict):
    """One statement about a message, written down once."""

    status: Annotated[Status | None, Field(description="Null where the word is not known to us.")]
    provider_status: Annotated[str, Field(description="The provider's own word.")]
    source: Source
    provider: str
    provider_sid: str | None
    attempt_id: UUID | None
    error_code: str | None
    error_message: str | None
    received_at: Time
    provider_time: Annotated[str | None, Field(description="The provider's text; has no zone.")]
    repeats: Annotated[int, Field(ge=0, description="How often it was said again.")]
    raw: Annotated[dict[str, Any], Field(description="All that the provider said with it.")]


class Page(TypedDict):
    """A page of messages, newest first."""

    messages: list[Message]
    next_cursor: Annotated[
        UUID | None, Field(description="Give it as `cursor` for the next page; null on the last.")
    ]


class Ledger(TypedDict):
    """Who said what about a message, in the order in which it came."""

    events: list[Event]


class AcceptedItem(TypedDict):
    """A message of a batch that was accepted."""

    status: Annotated[int, Field(json_schema_extra={"const": 202})]
    message: Message


class RefusedItem(TypedDict):
    """A message of a batch that was not."""

    status: Annotated[int, Field(examples=[422])]
    problem: Problem


class BatchAnswer(TypedDict):
    """An answer for each message, in the order in which they were given."""

    results: list[AcceptedItem | RefusedItem]


class Alive(TypedDict):
    """The process answers."""

    status: Annotated[str, Field(json_schema_extra={"const": "alive"})]


class Ready(TypedDict):
    """How each part is."""

    status: Annotated[str, Field(json_schema_extra={"enum": ["ready", "degraded", "not ready"]})]
    parts: Annotated[dict[str, str], Field(examples=[{"database": "ok", "redis": "ok"}])]


SHAPES: Final = (Message, Event, Page, Ledger, Problem, BatchAnswer, Alive, Ready)
