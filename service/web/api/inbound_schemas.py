"""Parameters of the list of inbound messages."""

from uuid import UUID

from pydantic import Field

from service.web.api.schemas import Strict


class InboundQuery(Strict):
    """Filters and page of a list of inbound messages."""

    cursor: UUID | None = Field(default=None, description="`next_cursor` of the previous page.")
    limit: int = Field(default=50, ge=1, le=200, description="Maximum number of messages.")
