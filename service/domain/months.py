"""Months in UTC, and their ranges of identities in the ledger (service/domain/report.py)."""

from datetime import UTC, datetime, timedelta

from service.domain.message_ids import first_id


def month_of(moment: datetime) -> datetime:
    """Return the first instant of the month of this time."""
    utc = moment.astimezone(UTC)
    return utc.replace(day=1, hour=0, minute=0, second=0, microsecond=0)


def next_month(moment: datetime) -> datetime:
    """Return the first instant of the month after this time."""
    return month_of(month_of(moment) + timedelta(days=32))


def first_identity(moment: datetime) -> bytes:
    """Return the lowest identity of a report about an attempt of this time or later (6 bytes)."""
    return first_id(moment).bytes[:6]


def time_of(identity: bytes) -> datetime:
    """Return the time at the beginning of an identity."""
    milliseconds = int.from_bytes(identity[:6].ljust(6, b"\0"))
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=milliseconds)
