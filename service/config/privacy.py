"""How long texts, messages and what belongs to nobody are kept. Unset: for good."""

from typing import Annotated

from pydantic import BaseModel, Field

_Days = Annotated[float, Field(gt=0, le=36_500)]


class PrivacySettings(BaseModel):
    """What is taken out and deleted by age; the description is the sentence in `.env.example`."""

    redact_after: float | None = Field(
        default=None,
        ge=0,
        le=36_500,
        description="Days after the end of a message at which text and media are taken out.",
    )
    keep_messages: _Days | None = Field(
        default=None,
        description="Days for which an ended message is kept, with attempts and ledger.",
    )
    keep_orphans: _Days | None = Field(
        default=None,
        description="Days for which callbacks without a message and dead letters are kept.",
    )
