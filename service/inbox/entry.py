"""The form of a callback in a stream."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final, NamedTuple

from service.providers.base import Callback
from service.providers.sandbox import SANDBOX

# Entries from before migration 0011 have the earlier name of the sandbox.
_RENAMED_PROVIDERS: Final = {"test": SANDBOX}


class Entry(NamedTuple):
    """A callback in the inbox, how often it was delivered to a consumer, and its stream."""

    id: str
    callback: Callback
    deliveries: int = 1
    stream: int = 0


def encode(callback: Callback) -> tuple[bytes | str | float, ...]:
    """Return the fields of an entry."""
    received = callback.received_at.timestamp()
    return (b"p", callback.provider, b"a", callback.attempt, b"b", callback.body, b"t", received)


def decode(entries: Sequence[tuple[bytes, dict[bytes, bytes]]], stream: int) -> list[Entry]:
    """Return the entries in an answer about a stream."""
    decoded = []
    for entry_id, fields in entries:
        if fields:  # Redis 6.2 returns an entry that was deleted meanwhile without its fields
            provider = fields[b"p"].decode()
            callback = Callback(
                provider=_RENAMED_PROVIDERS.get(provider, provider),
                attempt=fields[b"a"].decode(),
                body=fields[b"b"],
                received_at=datetime.fromtimestamp(float(fields[b"t"]), UTC),
            )
            decoded.append(Entry(entry_id.decode(), callback, stream=stream))
    return decoded
