"""Types of the other answers of the API; those of messages are in `service/representations`.

The OpenAPI document is made from them.
"""

from typing import Annotated, Final
from uuid import UUID

from pydantic import Field
from typing_extensions import TypedDict

from service.representations.inbound_types import (
    InboundMessage,
    MessageReceived,
    ReceivedFeedItem,
)
from service.representations.opt_out_types import OptOutPage, OptOuts
from service.representations.types import Event, FeedItem, Message
from service.representations.webhook_types import (
    MessageUpdated,
    WebhookDelivery,
    WebhookEndpoint,
    WebhookEndpointWithSecret,
)
from service.web.errors import Problem


class Page(TypedDict):
    """A page of messages, newest first."""

    messages: list[Message]
    next_cursor: Annotated[
        UUID | None,
        Field(description="The `cursor` of the next page; null on the last page."),
    ]


class Ledger(TypedDict):
    """The reports about a message, in the order in which they were recorded."""

    events: list[Event]


class AcceptedItem(TypedDict):
    """An accepted message of a batch."""

    status: Annotated[int, Field(json_schema_extra={"const": 202})]
    message: Message


class RefusedItem(TypedDict):
    """A refused message of a batch."""

    status: Annotated[int, Field(examples=[422])]
    problem: Problem


class BatchAnswer(TypedDict):
    """A result for each message, in the order of the request."""

    results: list[AcceptedItem | RefusedItem]


class InboundPage(TypedDict):
    """A page of inbound messages, newest first."""

    messages: list[InboundMessage]
    next_cursor: Annotated[
        UUID | None,
        Field(description="The `cursor` of the next page; null on the last page."),
    ]


class FeedPage(TypedDict):
    """Events of the feed, the oldest first."""

    events: list[FeedItem | ReceivedFeedItem]
    next_cursor: Annotated[str, Field(description="The `after` of the next request. Keep it.")]
    has_more: Annotated[bool, Field(description="True if more events can be read immediately.")]


class WebhookEndpoints(TypedDict):
    """All webhook endpoints of a client, the oldest first."""

    webhook_endpoints: list[WebhookEndpoint]


class WebhookDeliveries(TypedDict):
    """A page of deliveries, newest first. A short page is not always the last."""

    deliveries: list[WebhookDelivery]
    next_cursor: Annotated[
        UUID | None,
        Field(description="The `cursor` of the next page; null on the last page."),
    ]


class Recovered(TypedDict):
    """How many deliveries were made due."""

    recovered: Annotated[int, Field(ge=0)]
    next_cursor: Annotated[
        str | None,
        Field(description="Null when all is done. Else send the request again with this `cursor`."),
    ]


class Alive(TypedDict):
    """The process is alive."""

    status: Annotated[str, Field(json_schema_extra={"const": "alive"})]


class Ready(TypedDict):
    """The state of the service and of its parts."""

    status: Annotated[str, Field(json_schema_extra={"enum": ["ready", "degraded", "not ready"]})]
    parts: Annotated[dict[str, str], Field(examples=[{"database": "ok", "redis": "ok"}])]


SHAPES: Final = (
    *(Message, Event, Page, Ledger, Problem, BatchAnswer, Alive, Ready),
    *(InboundMessage, InboundPage, MessageReceived),
    *(FeedPage, WebhookEndpoints, WebhookEndpointWithSecret, WebhookDeliveries, Recovered),
    *(MessageUpdated, OptOuts, OptOutPage),
)
