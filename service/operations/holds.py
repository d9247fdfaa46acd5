"""Holds for operators: what is blocked or paused; pause, resume, release, and postpone a probe."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Final, NamedTuple

from service.components import components
from service.database import transaction
from service.domain.scope import HOLDING, HoldKind, Scope
from service.errors import Conflict, Invalid, NotFound
from service.holds import blocks
from service.holds.key import Key
from service.models import Hold
from service.observability import events
from service.operations.pause_targets import scope_named
from service.queries import clients, held_messages, holds
from service.queries.backlog import COUNT_LIMIT
from service.task_queue.queue import DELIVER

MAX_REASON: Final = 500
_ENDED_FOR: Final = timedelta(days=3)
_LISTED: Final = 50
_ORDER: Final = {kind: place for place, kind in enumerate(HoldKind)}


class ListedHold(NamedTuple):
    """A hold, what it stops, and how many messages wait for it (`COUNT_LIMIT` at most)."""

    hold: Hold
    what: str
    waiting: int


class Holds(NamedTuple):
    """The holds that an operator sees."""

    active: Sequence[ListedHold]
    ended: Sequence[ListedHold]  # in the last days, latest first


def read_holds(now: datetime) -> Holds:
    """Return the active holds and those that ended lately, 50 of each at most."""
    return Holds(_listed(_active_holds()[:_LISTED]), _listed(_ended(now)))


def problems(now: datetime, limit: int) -> list[ListedHold]:
    """Return the holds that an operator must know of: suspicions and short ones are left out."""
    before = now - timedelta(seconds=components().settings.failover_after)
    serious = [
        hold
        for hold in _active_holds()
        if hold.kind in HOLDING
        or (hold.kind == HoldKind.NOT_ACCEPTING and hold.started_at < before)
    ]
    return _listed(serious[:limit])


def _active_holds() -> list[Hold]:
    """Return the active holds: first those that stop messages."""
    active = [hold for hold in holds.unreleased() if hold.ended_at is None]
    return sorted(active, key=lambda hold: (_ORDER[HoldKind(hold.kind)], hold.id))


def _ended(now: datetime) -> Sequence[Hold]:
    return holds.ended_since(now - _ENDED_FOR, _LISTED)


def _listed(rows: Sequence[Hold]) -> list[ListedHold]:
    """Return holds with what they stop, and how many messages wait for each."""
    waiting = held_messages.waiting([hold.id for hold in rows], COUNT_LIMIT)
    names = clients.names([int(hold.value) for hold in rows if hold.scope == Scope.CLIENT])
    return [ListedHold(hold, _what(hold, names), waiting[hold.id]) for hold in rows]


def pause(kind: str, name: str, reason: str, operator: str) -> Hold:
    """Pause the messages of a scope. Raises NotFound, Invalid, and Conflict if it is paused."""
    reason = reason.strip()
    if len(reason) > MAX_REASON:
        raise Invalid(f"the reason must have at most {MAX_REASON} characters")
    with transaction():
        key = scope_named(kind, name)
        if earlier := holds.active(key, HoldKind.PAUSED):
            since = f"{earlier.started_at:%Y-%m-%d %H:%M:%S}Z"
            raise Conflict(f"{kind} {name} is paused already, since {since} (hold {earlier.id})")
        if not holds.has_room():
            raise Conflict(f"there are {holds.MAX_HOLDS} holds; resume or release some first")
        columns = {"started_by": operator}
        hold = holds.open_hold(key, HoldKind.PAUSED, None, reason, datetime.now(UTC), **columns)
    if hold is None:
        raise Conflict(f"{kind} {name} was paused by another operator just now")
    events.hold_opened(hold)
    events.operator_action(operator, "paused", hold=hold.id)
    return hold


def resume(kind: str, name: str, operator: str) -> Hold:
    """End a pause; its messages are due. Raises NotFound, Invalid, and Conflict without a pause."""
    with transaction():
        hold = holds.active(scope_named(kind, name), HoldKind.PAUSED)
        if hold is None:
            raise Conflict(f"{kind} {name} is not paused; `holds list` shows what is")
        blocks.end([hold.id], datetime.now(UTC), operator)
    events.operator_action(operator, "resumed", hold=hold.id)
    components().queue.request(DELIVER)
    return hold


def release(hold_id: int, operator: str) -> Hold:
    """End a block or a pause now; its messages are due. Raises NotFound and Conflict."""
    with transaction():
        hold = _active(hold_id)
        blocks.end([hold.id], datetime.now(UTC), operator)
    events.operator_action(operator, "released", hold=hold_id)
    components().queue.request(DELIVER)
    return hold


def extend(hold_id: int, until: datetime, operator: str) -> Hold:
    """Postpone the next probe of a block. Raises NotFound, Conflict and Invalid."""
    if until <= datetime.now(UTC):
        raise Invalid(f"the time must be in the future, not {until:%Y-%m-%d %H:%M:%S}Z")
    with transaction():
        hold = _active(hold_id)
        if hold.kind != HoldKind.BLOCKED:
            raise Conflict(
                f"hold {hold_id} is {KINDS[HoldKind(hold.kind)]}, not a block: it has no probe to "
                "postpone, and a pause lasts until it is resumed"
            )
        holds.set_probe(hold.id, until)
    events.operator_action(operator, "extended", hold=hold_id)
    return hold


KINDS: Final = {
    HoldKind.PAUSED: "a pause",
    HoldKind.BLOCKED: "a block",
    HoldKind.SUSPECTED: "a suspicion",
    HoldKind.NOT_ACCEPTING: "an account that accepts nothing",
}


def _active(hold_id: int) -> Hold:
    hold = holds.named(hold_id)
    if hold is None:
        raise NotFound(f"there is no hold {hold_id}; `holds list` shows the numbers")
    if hold.ended_at is not None:
        by = f" by {hold.ended_by}" if hold.ended_by else ""
        raise Conflict(f"hold {hold_id} ended at {hold.ended_at:%Y-%m-%d %H:%M:%S}Z{by}")
    return hold


def _what(hold: Hold, names: dict[int, str]) -> str:
    value = hold.value
    if hold.scope == Scope.CLIENT:
        value = names.get(int(hold.value), hold.value)
    return str(Key(Scope(hold.scope), hold.provider, hold.account, value))
