"""Types of webhook endpoints and deliveries in the JSON of the API."""

from typing import Annotated
from uuid import UUID

from pydantic import Field
from typing_extensions import TypedDict

from service.domain.status import Status
from service.queries.webhook_log import DeliveryStatus
from service.representations.types import Time


class WebhookEndpoint(TypedDict):
    """A URL to which events are posted, and its health."""

    id: UUID
    url: str
    description: str | None
    types: Annotated[list[str], Field(examples=[["message.updated"]])]
    statuses: list[Status]
    include_body: bool
    enabled: Annotated[bool, Field(description="False: events are not posted until you enable it.")]
    disabled_at: Time | None
    disabled_reason: Annotated[
        str | None,
        Field(
            description="`gone`: it answered 410. `failing`: it failed for five days.",
            examples=["failing"],
        ),
    ]
    failing_since: Annotated[
        Time | None, Field(description="The first failure after the last success.")
    ]
    last_success_at: Annotated[Time | None, Field(description="To the minute.")]
    next_attempt_at: Annotated[
        Time | None,
        Field(description="When the next delivery is due; null if there is none, or if disabled."),
    ]
    created_at: Time
    updated_at: Time


class WebhookEndpointWithSecret(WebhookEndpoint):
    """A webhook endpoint with a new secret."""

    secret: Annotated[
        str,
        Field(
            description="Signs the events. It is shown this once: store it.",
            json_schema_extra={"pattern": "^whsec_"},
        ),
    ]


class WebhookDelivery(TypedDict):
    """The delivery of an event to an endpoint."""

    id: UUID
    event_id: Annotated[
        str,
        Field(description="The `webhook-id`, the same in every attempt.", examples=["evt_1842"]),
    ]
    message_id: Annotated[UUID | None, Field(description="Null for a test.")]
    status: Annotated[
        DeliveryStatus,
        Field(description="`pending`: another attempt follows. `failed`: none follows."),
    ]
    attempts: Annotated[
        int,
        Field(ge=0, description="Attempts so far; since it was last retried or recovered."),
    ]
    answer_status: Annotated[
        int | None, Field(description="HTTP status of the last answer.", examples=[204])
    ]
    error: Annotated[str | None, Field(description="Why the last attempt got no answer.")]
    created_at: Time
    attempted_at: Annotated[Time | None, Field(description="When the last attempt began.")]
    delivered_at: Time | None
    next_attempt_at: Annotated[Time | None, Field(description="Null unless it is pending.")]
