"""The provider's own records of inbound messages."""

from collections import Counter
from collections.abc import Iterator

from simulator.inbound.message import InboundMessage

_RESULTS = ("acknowledged", "refused", "lost", "dropped")


class InboundRecords:
    """Inbound messages and totals. Keeps the latest `keep` messages and all totals."""

    def __init__(self, keep: int) -> None:
        self._keep = keep
        self._by_sid: dict[str, InboundMessage] = {}
        self.callbacks: Counter[str] = Counter()
        self.received = 0

    def add(self, message: InboundMessage) -> None:
        """Add a message."""
        self.received += 1
        self._by_sid[message.sid] = message
        if len(self._by_sid) > self._keep:
            del self._by_sid[next(iter(self._by_sid))]

    def find(self, sid: str) -> InboundMessage | None:
        """Return a message by its SID."""
        return self._by_sid.get(sid)

    def oldest_first(self) -> Iterator[InboundMessage]:
        """Iterate over all messages in the order in which they were written."""
        return iter(self._by_sid.values())

    def newest_first(self) -> Iterator[InboundMessage]:
        """Iterate over all messages, those written last first."""
        return reversed(self._by_sid.values())

    def summary(self) -> dict[str, int]:
        """Return the totals: of messages, and of the requests to the webhook URL."""
        names = ("due", "tries", *_RESULTS, "duplicates")
        totals = {name: self.callbacks[name] for name in names}
        pending = totals["due"] - sum(totals[name] for name in _RESULTS)
        return {"received": self.received, **totals, "pending": pending}
