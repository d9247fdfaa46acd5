"""Request models of webhook endpoints."""

import re
from typing import Annotated
from uuid import UUID

from pydantic import AfterValidator, Field, StrictBool

from service.domain.status import FINAL, Status
from service.queries.events import Position
from service.queries.webhook_log import DeliveryStatus
from service.web.api.event_schemas import EventType
from service.web.api.fields import OverlapSeconds, ShortText, Text, Timestamp, Url
from service.web.api.schemas import Strict


def _distinct(values: list[str]) -> list[str]:
    if len(set(values)) < len(values):
        raise ValueError("must not have the same value twice")
    return values


def _recovery_cursor(text: str) -> str:
    position_of(text)
    return text


# The format is not standard: tools that generate requests can use it for URLs that are reachable.
EndpointUrl = Annotated[Url, Field(json_schema_extra={"format": "webhook-url"})]
_Distinct = Field(min_length=1, json_schema_extra={"uniqueItems": True})


class NewWebhookEndpoint(Strict):
    """A webhook endpoint to create."""

    url: EndpointUrl = Field(
        description="Where to post events: https://, or on a server for development http://."
    )
    description: ShortText | None = Field(default=None, description="Your words for it.")
    types: Annotated[list[EventType], _Distinct, AfterValidator(_distinct)] = Field(
        default=["message.updated"], description="Types of events."
    )
    statuses: Annotated[list[Status], _Distinct, AfterValidator(_distinct)] = Field(
        default_factory=lambda: [status for status in Status if status in FINAL],
        description="Statuses of a message of which to tell. Default: the final ones.",
    )
    include_body: StrictBool = Field(
        default=False,
        description="Whether events have `body`, `media_urls` and `content_variables`.",
    )


class SecretRotation(Strict):
    """How long the earlier secrets of an endpoint sign beside a new one."""

    overlap_seconds: OverlapSeconds = Field(
        default=86_400,
        description="Seconds for which the earlier secrets still sign. 0 ends them immediately.",
    )


class Recover(Strict):
    """From when on to deliver again what an endpoint did not receive."""

    since: Timestamp = Field(
        description="Events since this time; at most as long ago as the server keeps events."
    )
    cursor: Annotated[Text, AfterValidator(_recovery_cursor)] | None = Field(
        default=None, description="The `next_cursor` of the last answer, to go on."
    )


def position_of(cursor: str) -> Position:
    """Return the position in a cursor of a recovery. Raises ValueError for other texts."""
    match = re.fullmatch(r"(\d{1,18})-(\d{1,18})", cursor, re.ASCII)
    if match is None:
        raise ValueError("must be the next_cursor of an earlier answer")
    return int(match[1]), int(match[2])


def cursor_of(position: Position) -> str:
    """Return a position as text that clients do not interpret."""
    return f"{position[0]}-{position[1]}"


class DeliveryQuery(Strict):
    """Filters and page of a list of deliveries."""

    status: DeliveryStatus | None = Field(default=None, description="Deliveries with this status.")
    message_id: UUID | None = Field(default=None, description="Deliveries about this message.")
    cursor: UUID | None = Field(default=None, description="`next_cursor` of the previous page.")
    limit: int = Field(default=50, ge=1, le=200, description="Maximum number of deliveries.")
