"""Checks the promises against the records of the simulated provider."""

from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import requests
from sqlalchemy import Engine, select

from demo.stack import Stack
from service.domain.report import Source
from service.domain.status import SUCCESSES, UNREPORTED, Status
from service.models import Message, StatusEvent
from service.providers.twilio.reports import STATUSES
from tests.chaos.inbound_verdict import InboundVerdict
from tests.chaos.traffic import body, may_repeat

Records = Mapping[str, list[dict[str, Any]]]  # the provider's messages by their text


@dataclass
class Verdict:
    """Violations: every list must be empty, except `deleted_with_redis`, which is only counted."""

    repeated: list[int] = field(default_factory=list)
    lost: list[tuple[str, str]] = field(default_factory=list)
    deleted_with_redis: list[tuple[str, str]] = field(default_factory=list)
    wrong_status: list[str] = field(default_factory=list)
    unfinished: list[str] = field(default_factory=list)
    inbound: InboundVerdict = field(default_factory=InboundVerdict)

    def holds(self) -> bool:
        """Report whether all checks passed."""
        broken = self.repeated or self.lost or self.wrong_status or self.unfinished
        return not broken and self.inbound.holds()


def read_records(stack: Stack) -> Records:
    """Return the records of the simulated provider."""
    answer = requests.get(f"{stack.simulator_url}/_simulator/records", timeout=120).json()
    by_text = defaultdict(list)
    for entry in answer["messages"]:
        by_text[entry["body"]].append(entry)
    return by_text


def judge(
    records: Records, engine: Engine, messages: int, deleted: set[tuple[str, str]]
) -> Verdict:
    """Compare Waybill's database with the provider's records."""
    verdict = Verdict()
    shown = _shown(engine)
    for number in range(messages):
        entries = records.get(body(number), [])
        if len(entries) > 1 and not may_repeat(number):
            verdict.repeated.append(number)
        status, expected = shown.get(str(number)), _expected(entries)
        if status in UNREPORTED or status is None:
            verdict.unfinished.append(f"message {number} is {status}")
        elif status not in expected:
            verdict.wrong_status.append(f"message {number} is {status}, not {expected}")
    _find_lost(verdict, records, engine, deleted)
    return verdict


def totals(records: Records) -> Counter[str]:
    """Count sends, statuses and callbacks."""
    counts: Counter[str] = Counter()
    for entries in records.values():
        for entry in entries:
            counts["messages sent by the provider"] += entry["on_air"]
            counts[f"{entry['provider']}: {entry['status']}"] += 1
            for callback in entry["callbacks"]:
                counts["callbacks sent"] += 1
                counts["callbacks acknowledged"] += _is_acknowledged(callback)
    return counts


def _shown(engine: Engine) -> dict[str, Status]:
    with engine.connect() as connection:
        rows = connection.execute(select(Message.reference, Message.status))
        return {row.reference: row.status for row in rows}


def _expected(entries: list[dict[str, Any]]) -> set[Status]:
    """Return the possible statuses of a message: what the provider would answer to a fetch."""
    if not entries:
        return {Status.FAILED}  # rejected, or never received and given up
    # The simulator records Twilio's statuses for both providers.
    statuses = [STATUSES[entry["status"]] for entry in entries]
    return (set(statuses) & SUCCESSES) or {statuses[-1]}


def _find_lost(
    verdict: Verdict, records: Records, engine: Engine, deleted: set[tuple[str, str]]
) -> None:
    with engine.connect() as connection:
        query = select(StatusEvent.provider_sid, StatusEvent.word)
        rows = connection.execute(query.where(StatusEvent.source == Source.CALLBACK))
        recorded = {(row.provider_sid, row.word) for row in rows}
    acknowledged = {
        (entry["sid"], callback["status"])
        for entries in records.values()
        for entry in entries
        for callback in entry["callbacks"]
        if _is_acknowledged(callback)
    }
    verdict.deleted_with_redis = sorted((acknowledged - recorded) & deleted)
    verdict.lost = sorted(acknowledged - recorded - deleted)


def _is_acknowledged(callback: dict[str, Any]) -> bool:
    return callback["answer"] is not None and 200 <= callback["answer"] < 300
