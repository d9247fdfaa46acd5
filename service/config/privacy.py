"""Settings for redaction and retention."""

from typing import Annotated

from pydantic import BaseModel, Field

_Days = Annotated[float, Field(gt=0, le=36_500)]


class PrivacySettings(BaseModel):
    """Settings of redaction and retention. The descriptions are also the text of `.env.example`."""

    redact_after: float | None = Field(
        default=None,
        ge=0,
        le=36_500,
        description="Days after the end of a message, or the arrival of an inbound message, until "
        "its text and media are redacted; 0: in the next sweep. Unset: never.",
    )
    keep_messages: _Days | None = Field(
        default=None,
        description="Days until an ended message is deleted with its attempts and ledger, and an "
        "inbound message after its arrival. Unset: never.",
    )
    keep_orphans: _Days | None = Field(
        default=None,
        description="Days until dead letters, and callbacks without a message, are deleted. Unset: "
        "never.",
    )
