"""The provider's own records: the messages, and totals that outlive them."""

from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import count

from simulator.account_records import AccountRecords
from simulator.accounts import Account
from simulator.inbound.message import InboundMessage
from simulator.inbound.records import InboundRecords
from simulator.message import Message


class Records:
    """Messages and totals, to compare with Waybill's.

    Keeps the latest `keep` messages and all totals.
    """

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
        self.accounts = AccountRecords(keep)
        self.inbound = InboundRecords(keep)
        self._positions = count(1)

    def add(self, message: Message) -> None:
        """Add a message."""
        message.position = next(self._positions)
        self._by_sid[message.sid] = message
        self._by_to.setdefault(message.order.to, {})[message.sid] = message
        if len(self._by_sid) > self._keep:
            self._forget_oldest()

    def add_inbound(self, message: InboundMessage) -> None:
        """Add an inbound message."""
        message.position = next(self._positions)
        self.inbound.add(message)

    def find(self, sid: str) -> Message | None:
        """Return a message by its SID, also a deleted one."""
        return self._by_sid.get(sid)

    def oldest_first(self, to: str | None = None) -> Iterator[Message]:
        """Iterate over the messages of one recipient, or of all, in order of creation."""
        return iter(self._messages(to).values())

    def newest_first(self, to: str | None = None) -> Iterator[Message]:
        """Iterate over the messages of one recipient, or of all, newest first."""
        return reversed(self._messages(to).values())

    def receive_create(self, account: Account) -> None:
        """Count a create request."""
        self.creates["received"] += 1
        self.accounts.of(account).creates += 1

    def refuse_create(self, account: Account, code: int | str) -> None:
        """Count a create request that is not valid."""
        self.refused[code] += 1
        self.accounts.refuse(account, str(code))

    def set_status(self, message: Message, status: str) -> None:
        """Set the next status of a message."""
        if message.status:
            self.statuses[message.status] -= 1
        self.statuses[status] += 1
        message.status = status
        message.statuses.append(status)

    def put_on_air(self, message: Message) -> None:
        """Count a message as transmitted."""
        message.on_air.append(datetime.now(UTC))
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
        results = ("acknowledged", "refused", "lost", "dropped")
        totals = {name: self.callbacks[name] for name in ("due", "tries", *results, "duplicates")}
        return totals | {"pending": totals["due"] - sum(totals[name] for name in results)}

    def _messages(self, to: str | None) -> dict[str, Message]:
        return self._by_sid if to is None else self._by_to.get(to, {})

    def _forget_oldest(self) -> None:
        message = self._by_sid.pop(next(iter(self._by_sid)))
        to_recipient = self._by_to[message.order.to]
        del to_recipient[message.sid]
        if not to_recipient:
            del self._by_to[message.order.to]
