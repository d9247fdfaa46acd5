"""The creation time in a message id (UUIDv7, RFC 9562): the first 48 bits, in milliseconds.

Ids sort by creation time, so that a time range is a range of the primary key.
"""

import secrets
from datetime import UTC, datetime, timedelta
from typing import Final
from uuid import UUID

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND: Final = timedelta(milliseconds=1)


def first_id(moment: datetime) -> UUID:
    """Return the lowest id of a message created at or after this time, rounded up to 1 ms."""
    return UUID(int=max(0, -((_EPOCH - moment) // _MILLISECOND)) << 80)


def creation_time(message_id: UUID) -> datetime:
    """Return the creation time in an id."""
    return _EPOCH + (message_id.int >> 80) * _MILLISECOND


def random_id(moment: datetime) -> UUID:
    """Return a new id with this creation time."""
    random = secrets.randbits(74)
    milliseconds = (moment - _EPOCH) // _MILLISECOND
    # Version 7 and variant 2 of RFC 9562.
    return UUID(int=milliseconds << 80 | 7 << 76 | (random >> 62) << 64 | 2 << 62 | random % 2**62)
