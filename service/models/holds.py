"""Holds: why messages of a scope wait."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import JSON, Index, String, Text, false, text
from sqlalchemy.orm import Mapped, mapped_column

from service.database import Model
from service.domain.scope import HoldKind, Scope
from service.models.types import Serial, UtcDateTime

_ACTIVE = text("ended_at IS NULL")


class Hold(Model):
    """A block by the provider, or a pause by an operator. Ended holds are kept."""

    __tablename__ = "hold"
    id: Mapped[int] = mapped_column(Serial, primary_key=True)
    # What is held. A part that does not matter is empty, not null: then the key is unique.
    scope: Mapped[Scope] = mapped_column(String(16))
    provider: Mapped[str] = mapped_column(String(32), default="")
    account: Mapped[str] = mapped_column(String(32), default="")
    value: Mapped[str] = mapped_column(String(255), default="")  # sender, country or client id

    kind: Mapped[HoldKind] = mapped_column(String(16))
    code: Mapped[str | None] = mapped_column(String(64))
    reason: Mapped[str] = mapped_column(Text)
    started_by: Mapped[str | None] = mapped_column(String(100))
    started_at: Mapped[datetime] = mapped_column(UtcDateTime)
    # Messages that failed before the block is certain. Until then nothing is held.
    suspects: Mapped[list[str]] = mapped_column(JSON, default=list)
    # One message is tried at this time, in spite of the hold; the pause between two doubles.
    probe_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    probes: Mapped[int] = mapped_column(default=0)
    # Opened by a delivery report. The provider accepts messages all the same: a probe proves
    # something when it arrives.
    reported: Mapped[bool] = mapped_column(default=False, server_default=false())
    probe_message: Mapped[UUID | None]  # the last probe that the provider accepted
    ended_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    ended_by: Mapped[str | None] = mapped_column(String(100))
    released_at: Mapped[datetime | None] = mapped_column(UtcDateTime)  # all messages are due again

    __table_args__ = (
        Index(
            "uq_hold_active",
            *("scope", "provider", "account", "value", "kind"),
            unique=True,
            sqlite_where=_ACTIVE,
            postgresql_where=_ACTIVE,
        ),
        Index(
            "ix_hold_unreleased",
            "id",
            sqlite_where=text("released_at IS NULL"),
            postgresql_where=text("released_at IS NULL"),
        ),
        Index("ix_hold_ended_at", "ended_at"),
    )
