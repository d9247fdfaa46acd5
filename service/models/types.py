"""Column types for both databases."""

from datetime import UTC, datetime
from typing import Final

from sqlalchemy import BigInteger, DateTime, Dialect, Enum, Integer, TypeDecorator

from service.domain.report import Source
from service.domain.status import Status


class UtcDateTime(TypeDecorator[datetime]):
    """A UTC time with its zone, which SQLite would drop."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        return value.astimezone(UTC) if value else None

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        return value.replace(tzinfo=UTC) if value and value.tzinfo is None else value


def enum_column(enum: type[Status] | type[Source], name: str) -> Enum:
    """Return a text column type with a check constraint on the values of an enum."""
    return Enum(
        enum,
        name=name,
        native_enum=False,
        create_constraint=True,
        length=16,
        values_callable=lambda members: [member.value for member in members],
    )


# SQLite generates ids only for INTEGER PRIMARY KEY columns.
Serial: Final = BigInteger().with_variant(Integer, "sqlite")
