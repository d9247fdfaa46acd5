"""Queries that read and change the suppression list."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final, NamedTuple, cast

from sqlalchemy import Table, delete, select

from service.addresses import number_of
from service.database import db
from service.domain.opt_out import PROVIDER, Decision, OptOutState, Refusal
from service.models import Message, OptOut
from service.providers.base import Sender
from service.queries.dialect import any_of, insert_all
from service.queries.opt_out_rows import columns_of, state_of

# Every sender, and every provider.
ALL: Final = "*"
RCS: Final = "rcs:"


class Pair(NamedTuple):
    """A recipient and a sender at one provider."""

    to: str
    sender: str
    provider: str


class Change(NamedTuple):
    """The begin or the end of an opt-out, who made it and when.

    With the reason `provider` it is a refused call, or the delivery of a message, and when that was
    sent.
    """

    pair: Pair
    begins: bool
    at: datetime
    reason: str
    changed_by: str
    error_code: str | None = None


class Effect(NamedTuple):
    """Opt-outs that began or ended, for one reason and made by one person or program."""

    begins: bool
    reason: str
    changed_by: str
    number: int


def person_of(address: str) -> str:
    """Return the address of a person in the list: an opt-out over RCS is one over SMS, too."""
    return address.removeprefix(RCS)


def pairs_of(message: Message) -> tuple[Pair, ...]:
    """Return the keys of the opt-outs that suppress a message."""
    person = person_of(message.to)
    sender = Sender(message.sender, message.messaging_service_sid)
    everywhere = dict.fromkeys((person, number_of(person)))
    return (
        Pair(person, sender.key, message.provider),
        *(Pair(address, ALL, ALL) for address in everywhere),
    )


def by_recipient(addresses: Collection[str]) -> dict[Pair, OptOut]:
    """Return the opt-outs that can suppress messages to these recipients."""
    people = {person_of(address) for address in addresses}
    people |= {number_of(person) for person in people}
    rows = db.session.scalars(select(OptOut).where(any_of(OptOut.to, people), OptOut.active))
    return {_pair(row): row for row in rows}


def change(changes: Iterable[Change]) -> list[Effect]:
    """Join changes with what is known; return what began or ended. Locks the rows.

    In any order and any division into calls, the same changes end in the same state.
    """
    news, delivered = _joined(changes)
    # One order everywhere, so that two transactions cannot deadlock.
    new = {pair: news[pair] for pair in sorted(news) if news[pair] != OptOutState()}
    inserted = _insert(new) if new else set()
    changed = [new[pair] for pair in inserted if new[pair].active]
    for row in _locked((news.keys() | delivered.keys()) - inserted):
        before = state_of(row)
        after = before.joined(news[_pair(row)]).delivered(delivered.get(_pair(row)))
        if after == before:
            continue
        for name, value in columns_of(after, delivered.get(_pair(row)) or row.since).items():
            setattr(row, name, value)
        if after.active != before.active:
            changed.append(after)
    return _effects(changed)


def remove(addresses: Collection[str]) -> int:
    """Delete all that is known of these recipients; return the number of rows."""
    statement = delete(OptOut).where(any_of(OptOut.to, addresses)).returning(OptOut.to)
    return len(db.session.scalars(statement).all())


def _joined(
    changes: Iterable[Change],
) -> tuple[defaultdict[Pair, OptOutState], dict[Pair, datetime]]:
    """Return the state that the changes of each pair make, and when what was delivered was sent."""
    news, delivered = defaultdict[Pair, OptOutState](OptOutState), dict[Pair, datetime]()
    for pair, begins, at, reason, changed_by, code in changes:
        if reason != PROVIDER:
            decision = Decision(at, begins, reason, changed_by)
            news[pair] = news[pair].joined(OptOutState(decision))
        elif begins:
            news[pair] = news[pair].joined(OptOutState(refusal=Refusal(at, code or "")))
        else:
            delivered[pair] = max(at, delivered.get(pair, at))
    for pair, sent_at in delivered.items():
        news[pair] = news[pair].delivered(sent_at)
    return news, delivered


def _insert(new: Mapping[Pair, OptOutState]) -> set[Pair]:
    """Insert rows of pairs of which nothing is known; return these pairs."""
    rows = [{**pair._asdict(), **columns_of(state)} for pair, state in new.items()]
    return {Pair(*row) for row in insert_all(cast(Table, OptOut.__table__), rows, _unless_known)}


def _unless_known(statement: Any) -> Any:
    key = [OptOut.to, OptOut.sender, OptOut.provider]
    return statement.on_conflict_do_nothing(index_elements=key).returning(*key)


def _locked(pairs: Collection[Pair]) -> list[OptOut]:
    if not pairs:
        return []
    query = (
        select(OptOut)
        .where(any_of(OptOut.to, {pair.to for pair in pairs}))
        .order_by(OptOut.to, OptOut.sender, OptOut.provider)
        .with_for_update()
        .execution_options(populate_existing=True)
    )
    return [row for row in db.session.scalars(query) if _pair(row) in pairs]


def _pair(row: OptOut) -> Pair:
    return Pair(row.to, row.sender, row.provider)


def _effects(states: Sequence[OptOutState]) -> list[Effect]:
    counts = defaultdict[tuple[bool, str, str], int](int)
    for state in states:
        shown = columns_of(state)
        counts[state.active, shown["reason"], shown["changed_by"]] += 1
    return [Effect(*key, count) for key, count in counts.items()]
