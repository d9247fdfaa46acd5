"""The promises, checked against the carrier's own books and not against Waybill's."""

from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import requests
from sqlalchemy import Engine, select

from demo.stack import Stack
from service.domain.report import Source
from service.domain.status import OWN, SUCCESSES, Status
from service.models import Message, StatusEvent
from service.providers.twilio.reports import STATUSES
from tests.chaos.traffic import body, may_repeat

Books = Mapping[str, list[dict[str, Any]]]  # the carrier's messages by their text


@dataclass
class Verdict:
    """What was found; every list must be empty, but `with_the_file`, which is only counted."""

    twice: list[int] = field(default_factory=list)
    missing: list[tuple[str, str]] = field(default_factory=list)
    with_the_file: list[tuple[str, str]] = field(default_factory=list)
    different: list[str] = field(default_factory=list)
    unsettled: list[str] = field(default_factory=list)

    def holds(self) -> bool:
        """Tell whether every promise was kept."""
        return not (self.twice or self.missing or self.different or self.unsettled)


def read_books(stack: Stack) -> Books:
    """Return what the carrier says it did."""
    answer = requests.get(f"{stack.simulator_url}/_simulator/records", timeout=120).json()
    by_text = defaultdict(list)
    for entry in answer["messages"]:
        by_text[entry["body"]].append(entry)
    return by_text


def judge(books: Books, engine: Engine, messages: int, lost: set[tuple[str, str]]) -> Verdict:
    """Compare both witnesses."""
    verdict = Verdict()
    shown = _shown(engine)
    for number in range(messages):
        entries = books.get(body(number), [])
        if len(entries) > 1 and not may_repeat(number):
            verdict.twice.append(number)
        status, expected = shown.get(str(number)), _expected(entries)
        if status in OWN or status is None:
            verdict.unsettled.append(f"{number} is {status}")
        elif status not in expected:
            verdict.different.append(f"{number} is {status}, the carrier says {expected}")
    _find_missing(verdict, books, engine, lost)
    return verdict


def totals(books: Books) -> Counter[str]:
    """Return how much there was of everything."""
    found: Counter[str] = Counter()
    for entries in books.values():
        for entry in entries:
            found["on the air"] += entry["on_air"]
            found[f"{entry['provider']}: {entry['status']}"] += 1
            for one in entry["callbacks"]:
                found["callbacks sent"] += 1
                found["callbacks acknowledged"] += _acknowledged(one)
    return found


def _shown(engine: Engine) -> dict[str, Status]:
    with engine.connect() as connection:
        rows = connection.execute(select(Message.reference, Message.status))
        return {row.reference: row.status for row in rows}


def _expected(entries: list[dict[str, Any]]) -> set[Status]:
    """Return what may be shown for a message: what the carrier would answer to a fetch."""
    if not entries:
        return {Status.FAILED}  # refused, or never seen and given up
    # The simulator tells its story in Twilio's words, also where it spoke Sinch's on the wire.
    said = [STATUSES[entry["status"]] for entry in entries]
    return (set(said) & SUCCESSES) or {said[-1]}


def _find_missing(
    verdict: Verdict, books: Books, engine: Engine, lost: set[tuple[str, str]]
) -> None:
    with engine.connect() as connection:
        said = select(StatusEvent.provider_sid, StatusEvent.word)
        rows = connection.execute(said.where(StatusEvent.source == Source.CALLBACK))
        recorded = {(row.provider_sid, row.word) for row in rows}
    acknowledged = {
        (entry["sid"], one["status"])
        for entries in books.values()
        for entry in entries
        for one in entry["callbacks"]
        if _acknowledged(one)
    }
    verdict.with_the_file = sorted((acknowledged - recorded) & lost)
    verdict.missing = sorted(acknowledged - recorded - lost)


def _acknowledged(one: dict[str, Any]) -> bool:
    return one["answer"] is not None and 200 <= one["answer"] < 300
