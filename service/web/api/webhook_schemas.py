"""Request models of webhook endpoints."""

from typing import Annotated, Literal

from pydantic import Field, StrictBool

from service.domain.status import FINAL, Status
from service.web.api.schemas import Strict

EventType = Literal["message.updated"]


class NewWebhookEndpoint(Strict):
    """A webhook endpoint to create."""

    url: Annotated[str, Field(min_length=1, max_length=2_048)]
    description: Annotated[str, Field(max_length=255)] | None = None
    types: Annotated[list[EventType], Field(min_length=1)] = Field(default=["message.updated"])
    statuses: Annotated[list[Status], Field(min_length=1)] = Field(
        default_factory=lambda: [status for status in Status if status in FINAL]
    )
    include_body: StrictBool = False
