"""What the carrier remembers: the messages, and totals that outlive them."""

from collections import Counter
from collections.abc import Iterator

from simulator.message import Message


class Books:
    """The second witness. Forgets the oldest messages above `keep`, never the totals."""

    def __init__(self, keep: int) -> None:
        self._keep = keep
        self._by_sid: dict[str, Message] = {}
        self._by_to: dict[str, dict[str, Message]] = {}
        self.creates: Counter[str] = Counter()
        self.refused: Counter[int | str] = Counter()
        self.faults: Counter[str] = Counter()
        self.statuses: Counter[str] = Counter()
        self.callbacks: Counter[str] = Counter()
        self.on_air = 0

    def add(self, message: Message) -> None:
        """Remember a message."""
        self._by_sid[message.sid] = message
        self._by_to.setdefault(message.order.to, {})[message.sid] = message
        if len(self._by_sid) > self._keep:
            self._forget_oldest()

    def find(self, sid: str) -> Message | None:
        """Return a message by its SID, even a deleted one."""
        return self._by_sid.get(sid)

    def oldest_first(self, to: str | None = None) -> Iterator[Message]:
        """Walk over the messages, of one recipient or all, in the order they were taken."""
        return iter(self._shelf(to).values())

    def newest_first(self, to: str | None = None) -> Iterator[Message]:
        """Walk over the messages, of one recipient or all, the latest first."""
        return reversed(self._shelf(to).values())

    def enter(self, message: Message, status: str) -> None:
        """Move a message to its next status."""
        if message.status:
            self.statuses[message.status] -= 1
        self.statuses[status] += 1
        message.status = status
        message.statuses.append(status)

    def put_on_air(self, message: Message) -> None:
        """Note that a message really went out."""
        message.on_air += 1
        self.on_air += 1

    def summary(self) -> dict[str, object]:
        """Return the totals."""
        return {
            "creates": {
                **{name: self.creates[name] for name in ("received", "accepted", "created")},
                "refused": {
                    str(code): count for code, count in sorted(self.refused.items(), key=str)
                },
                "faults": dict(sorted(self.faults.items())),
            },
            "messages": {word: count for word, count in sorted(self.statuses.items()) if count},
            "on_air": self.on_air,
            "callbacks": self._callback_totals(),
        }

    def _callback_totals(self) -> dict[str, int]:
        ended = ("acknowledged", "refused", "lost", "dropped")
        totals = {name: self.callbacks[name] for name in ("due", "tries", *ended, "duplicates")}
        return totals | {"pending": totals["due"] - sum(totals[name] for name in ended)}

    def _shelf(self, to: str | None) -> dict[str, Message]:
        return self._by_sid if to is None else self._by_to.get(to, {})

    def _forget_oldest(self) -> None:
        message = self._by_sid.pop(next(iter(self._by_sid)))
        shelf = self._by_to[message.order.to]
        del shelf[message.sid]
        if not shelf:
            del self._by_to[message.order.to]
