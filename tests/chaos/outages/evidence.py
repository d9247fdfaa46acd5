"""What Waybill and the simulated provider know of the messages when all work is done."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from tests.chaos.outages.schedule import Outage

Messages = list[Mapping[str, Any]]


@dataclass
class Evidence:
    """What both sides know when all work is done."""

    shown: Sequence[Mapping[str, Any]]  # messages in Waybill's API
    sent: Sequence[Mapping[str, Any]]  # messages in the provider's records
    words: Mapping[str, Collection[str]]  # words of the ledger that state no status, by message id
    outages: Mapping[str, Outage]
    refused: Mapping[int, Sequence[datetime]]  # create requests without a message, by outage
    by_text: dict[str, list[Mapping[str, Any]]] = field(init=False)

    def __post_init__(self) -> None:
        """Sort the provider's messages by their text."""
        self.by_text = defaultdict(list)
        for entry in self.sent:
            self.by_text[entry["text"]].append(entry)

    def on_air(self, message: Mapping[str, Any]) -> list[datetime]:
        """Return every time at which a message went on the air."""
        times = (time for entry in self.by_text[message["body"]] for time in entry["on_air_at"])
        return sorted(map(datetime.fromisoformat, times))

    def refusals(self, outage: str) -> Sequence[datetime]:
        """Return when an outage refused create requests."""
        return self.refused.get(self.outages[outage].id, ())

    def of(self, group: str) -> list[Mapping[str, Any]]:
        """Return the messages of a group."""
        return [message for message in self.shown if message["body"].startswith(f"{group} ")]

    def by_doubt(self, messages: Iterable[Mapping[str, Any]]) -> tuple[Messages, Messages]:
        """Return those that no killed worker held, and those that were looked up, then resent."""
        sure, doubtful = Messages(), Messages()
        for message in messages:
            resent = "resend" in self.words.get(message["id"], ())
            (doubtful if resent else sure).append(message)
        return sure, doubtful

    def moved(self, group: str) -> list[Mapping[str, Any]]:
        """Return the messages of a group that the next provider took."""
        return [entry for entry in self.of(group) if "moved" in self.words.get(entry["id"], ())]


def is_short(message: Mapping[str, Any]) -> bool:
    """Return whether a message has a deadline of its own."""
    return message["validity_period"] is not None


def code(message: Mapping[str, Any]) -> str | None:
    """Return the error code of a message."""
    return message["error"] and str(message["error"]["code"])


def deadline(message: Mapping[str, Any]) -> datetime:
    """Return the time after which a message must not be sent."""
    return datetime.fromisoformat(message["expires_at"])


def created(message: Mapping[str, Any]) -> datetime:
    """Return when a message was accepted."""
    return datetime.fromisoformat(message["created_at"])


def wait(message: Mapping[str, Any], evidence: Evidence) -> float:
    """Return the seconds from the post to the mobile network; infinite if it never came there."""
    times = evidence.on_air(message)
    return (times[0] - created(message)).total_seconds() if times else float("inf")
