"""The time inside a message id (UUIDv7, RFC 9562): milliseconds since 1970, in its first 48 bits.

Ids are in the order of creation, so that a range of time is a range of the primary key.
"""

from datetime import UTC, datetime, timedelta
from typing import Final
from uuid import UUID

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND: Final = timedelta(milliseconds=1)


def first_id(moment: datetime) -> UUID:
    """Return the least id that a message created at this time or later can have.

    A time between two milliseconds counts as the later millisecond: ids hold no fractions.
    """
    return UUID(int=max(0, -((_EPOCH - moment) // _MILLISECOND)) << 80)


def creation_time(message_id: UUID) -> datetime:
    """Return the time inside an id."""
    return _EPOCH + (message_id.int >> 80) * _MILLISECOND
