"""Column types that mean the same on both databases."""

from datetime import UTC, datetime
from typing import Final

from sqlalchemy import BigInteger, DateTime, Dialect, Enum, Integer, TypeDecorator

from service.domain.report import Source
from service.domain.status import Status


class UtcDateTime(TypeDecorator[datetime]):
    """An aware UTC time on both databases (SQLite would drop the zone)."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        return value.astimezone(UTC) if value else None

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        return value.replace(tzinfo=UTC) if value and value.tzinfo is None else value


def words(of: type[Status] | type[Source], name: str) -> Enum:
    """Return a text column that takes these words only."""
    return Enum(
        of,
        name=name,
        native_enum=False,
        create_constraint=True,
        length=16,
        values_callable=lambda words: [word.value for word in words],
    )


# SQLite counts only INTEGER PRIMARY KEY columns up by itself.
Serial: Final = BigInteger().with_variant(Integer, "sqlite")
