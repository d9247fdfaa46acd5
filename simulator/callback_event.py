"""One callback or inbound message that is due, and the message of which it tells."""

from collections import Counter
from dataclasses import dataclass
from typing import Protocol

from simulator.message import Try
from simulator.provider_format import CallbackRequest


class Subject(Protocol):
    """A message of which a request tells; it keeps the record of the tries."""

    tries: list[Try]
    dropped: list[str]


@dataclass(slots=True)
class Event:
    """One status or inbound message to report, with the request as it was at that time."""

    subject: Subject
    index: int  # in its group
    request: CallbackRequest
    group: str  # events of one group may overtake one another
    key: tuple[object, ...]  # of its random numbers
    totals: Counter[str]
