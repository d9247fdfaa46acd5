"""Checks what recipients wrote: the records of the simulated provider against the database."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import Engine, func, select

from service.models import Event, InboundMessage, OptOut
from service.queries.events import MESSAGE_RECEIVED

#: Texts that begin or end an opt-out.
BEGINS = {"STOP": True, "START": False}


class Written(NamedTuple):
    """A message of a person, by the records of the provider."""

    provider: str
    sid: str
    person: str
    senders: tuple[str, ...]  # the number, and its Messaging Service if it is in one
    text: str
    acknowledged: bool
    # Between these times lies the time by which Waybill orders it.
    earliest: datetime
    latest: datetime


Pair = tuple[str, str, str]  # person, sender, provider


class Recorded(NamedTuple):
    """What the database has."""

    sids: Sequence[tuple[str, str]]  # provider and SID, one for each row
    told: Mapping[str, int]  # events by SID of the messages that have an owner
    opted_out: set[Pair]


@dataclass
class InboundVerdict:
    """Violations: every list must be empty."""

    lost: list[str] = field(default_factory=list)  # acknowledged and not recorded
    missed: list[str] = field(default_factory=list)  # not acknowledged, and not found in the lists
    twice: list[str] = field(default_factory=list)
    unknown: list[str] = field(default_factory=list)
    wrong_opt_outs: list[str] = field(default_factory=list)
    wrong_suppressed: list[str] = field(default_factory=list)
    totals: Counter[str] = field(default_factory=Counter)

    def holds(self) -> bool:
        """Report whether all checks passed."""
        opt_outs = self.wrong_opt_outs or self.wrong_suppressed
        return not (self.lost or self.missed or self.twice or self.unknown or opt_outs)


def read_recorded(engine: Engine) -> Recorded:
    """Read inbound messages, their events, and the opt-outs."""
    with engine.connect() as connection:
        rows = connection.execute(
            select(
                InboundMessage.id,
                InboundMessage.provider,
                InboundMessage.provider_sid,
                InboundMessage.client_id,
            )
        ).all()
        events: dict[Any, int] = {
            row[0]: row[1]
            for row in connection.execute(
                select(Event.message_id, func.count())
                .where(Event.type == MESSAGE_RECEIVED)
                .group_by(Event.message_id)
            )
        }
        active = select(OptOut.to, OptOut.sender, OptOut.provider).where(OptOut.active)
        return Recorded(
            [(row.provider, row.provider_sid) for row in rows],
            {row.provider_sid: events.get(row.id, 0) for row in rows if row.client_id is not None},
            {(row.to, row.sender, row.provider) for row in connection.execute(active)},
        )


def judge(
    written: Sequence[Written], recorded: Recorded, deleted: set[tuple[str, str]]
) -> InboundVerdict:
    """Compare the database with the records of the provider.

    `deleted` are SID and status of what was in the file of Redis when it was deleted: Waybill must
    find those messages in the lists of the provider, as those that it did not acknowledge.
    """
    verdict = InboundVerdict()
    sids = {sid for _, sid in recorded.sids}
    kept = {each.sid for each in written if each.acknowledged} - {sid for sid, _ in deleted}
    verdict.lost = sorted(kept - sids)
    verdict.missed = sorted({each.sid for each in written} - kept - sids)
    verdict.twice = [
        *(f"{sid} has {count} rows" for (_, sid), count in _repeated(recorded.sids)),
        *(f"{sid} has {count} events" for sid, count in recorded.told.items() if count != 1),
    ]
    verdict.unknown = sorted(sids - {each.sid for each in written})
    stored = [each for each in written if each.sid in sids]
    verdict.wrong_opt_outs = list(_wrong(expected(stored), recorded.opted_out))
    verdict.totals = _totals(written, stored, recorded)
    return verdict


def expected(written: Iterable[Written]) -> dict[Pair, set[bool]]:
    """Return for each pair whether it may be opted out: one value where the order is clear.

    The last word counts. Two words are both possible if their times overlap.
    """
    words: dict[Pair, list[Written]] = defaultdict(list)
    for each in written:
        if each.text in BEGINS:
            for sender in each.senders:
                words[each.person, sender, each.provider].append(each)
    return {pair: _possible(messages) for pair, messages in words.items()}


def _possible(messages: Sequence[Written]) -> set[bool]:
    last = max(each.earliest for each in messages)
    return {BEGINS[each.text] for each in messages if each.latest >= last}


def _wrong(possible: Mapping[Pair, set[bool]], opted_out: set[Pair]) -> Iterable[str]:
    for pair, values in possible.items():
        if (pair in opted_out) not in values:
            yield f"{pair} is {'' if pair in opted_out else 'not '}opted out"
    yield from (f"{pair} wrote no STOP" for pair in sorted(opted_out - possible.keys()))


def _repeated(sids: Sequence[tuple[str, str]]) -> Iterable[tuple[tuple[str, str], int]]:
    return [(key, count) for key, count in Counter(sids).items() if count > 1]


def _totals(
    written: Sequence[Written], stored: Sequence[Written], recorded: Recorded
) -> Counter[str]:
    possible = expected(stored)
    return Counter(
        {
            "inbound: written": len(written),
            "inbound: acknowledged": sum(each.acknowledged for each in written),
            "inbound: recorded": len(recorded.sids),
            "inbound: recorded, never acknowledged": sum(not each.acknowledged for each in stored),
            "inbound: with an owner": len(recorded.told),
            "inbound: pairs with one possible state": sum(
                len(values) == 1 for values in possible.values()
            ),
            "inbound: pairs opted out": len(recorded.opted_out),
        }
    )
