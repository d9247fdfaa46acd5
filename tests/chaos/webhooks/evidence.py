"""What Waybill and the receivers know when all work is done."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NamedTuple

from tests.chaos.webhooks.books import Request
from tests.chaos.webhooks.plan import ENDPOINTS, GROUPS, NARROW
from tests.chaos.webhooks.subscriber import Item


class Recovery(NamedTuple):
    """One call that recovered an endpoint."""

    missing: int  # events that the receiver had not taken before
    recovered: int  # events that the call announced
    at: float  # seconds since 1970


@dataclass
class Evidence:
    """What both sides know when all work is done."""

    posted: Mapping[str, int]  # accepted messages by group
    shown: Mapping[str, Mapping[str, Any]]  # messages in the API by id
    feeds: Mapping[str, Sequence[Item]]  # read to the end, by client
    followed: Mapping[str, Sequence[str]]  # event ids that a reader saw during the run, by client
    statuses: Mapping[str, str]  # of the messages when the events were added, by event id
    requests: Sequence[Request]
    before: int  # how many of the requests arrived before the recovery
    disabled: Mapping[str, str]  # reasons, by endpoint
    recoveries: Mapping[str, Recovery]  # by endpoint
    taken: dict[str, list[Request]] = field(init=False)

    def __post_init__(self) -> None:
        """Sort the requests that were taken by their endpoint."""
        self.taken = defaultdict(list)
        for request in self.requests:
            if request.is_taken:
                self.taken[request.receiver].append(request)

    def owed(self, name: str) -> list[Item]:
        """Return the events of the feed that an endpoint has to receive."""
        endpoint = ENDPOINTS[name]
        return [
            event
            for event in self.feeds[endpoint.client]
            if self.statuses[event["id"]] in endpoint.statuses
            and (group(event["data"]) != NARROW or name == NARROW)
        ]

    def missing(self, name: str, requests: Iterable[Request] | None = None) -> list[str]:
        """Return the ids of owed events that a receiver did not take."""
        taken = {each.id for each in requests or self.requests if _is_taken_by(each, name)}
        return [event["id"] for event in self.owed(name) if event["id"] not in taken]


def group(message: Mapping[str, Any]) -> str:
    """Return the group of a message."""
    name = str(message["body"]).split()[0]
    assert name in GROUPS, name
    return name


def added_at(event: Mapping[str, Any]) -> float:
    """Return when an event was added, in seconds since 1970."""
    return datetime.fromisoformat(event["timestamp"]).timestamp()


def _is_taken_by(request: Request, name: str) -> bool:
    return request.is_taken and request.receiver == name
