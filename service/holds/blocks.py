"""Open and end holds after the answers of providers."""

import logging
from collections.abc import Collection, Mapping
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from sqlalchemy.orm.attributes import set_committed_value

from service.components import components
from service.domain.scope import HoldKind, Scope
from service.errors import NotAccepted
from service.holds.key import Key
from service.models import Hold
from service.observability import events
from service.providers.sandbox import SANDBOX
from service.queries import held_messages, holds

# Messages that a sender must fail before it is certain that the sender, and not the recipient, is
# the reason.
_SUSPECTS: Final = 3
_FIRST_PROBE: Final = 1.0  # seconds
_LONGEST_PROBE: Final = {HoldKind.BLOCKED: 300.0, HoldKind.NOT_ACCEPTING: 60.0}

_log = logging.getLogger(__name__)


def block(
    key: Key, code: str | None, message_id: UUID, now: datetime, *, reported: bool = False
) -> bool:
    """Open a hold, or note the message if it is not certain yet; return whether it holds.

    `reported`: the provider accepted the message, and a delivery report has the code.
    """
    if key.provider == SANDBOX:
        return False
    is_blocked = holds.active(key, HoldKind.BLOCKED) is not None
    if not is_blocked and key.scope is Scope.SENDER and not _is_certain(key, code, message_id, now):
        return False
    return _open(key, HoldKind.BLOCKED, code, now, reported=reported)


def _is_certain(key: Key, code: str | None, message_id: UUID, now: datetime) -> bool:
    """Note a message that the sender failed; return whether enough others failed, too."""
    hold = holds.active(key, HoldKind.SUSPECTED, lock=True)
    if hold is None:
        _open(key, HoldKind.SUSPECTED, code, now, suspects=[str(message_id)])
        return False
    suspects = sorted({*hold.suspects, str(message_id)})
    if len(suspects) < _SUSPECTS:
        hold.suspects = suspects
        return False
    end([hold.id], now)
    return True


def not_accepting(provider: str, account: str, error: NotAccepted, now: datetime) -> None:
    """Note since when an account accepts nothing."""
    if provider != SANDBOX:
        _open(Key(Scope.ACCOUNT, provider, account), HoldKind.NOT_ACCEPTING, error.code, now)


def take_probes(stopping: Collection[Hold], now: datetime) -> bool:
    """Return whether one message may be tried now in spite of these holds.

    Only one caller gets each probe. None is taken unless all are due.
    """
    due = all(hold.probe_at is not None and hold.probe_at <= now for hold in stopping)
    return due and all(take_probe(hold, now) for hold in stopping)


def take_probe(hold: Hold, now: datetime) -> bool:
    """Return whether one message may be tried now in spite of a hold; only one caller gets it."""
    if hold.probe_at is None or hold.probe_at > now:
        return False
    longest = _LONGEST_PROBE[HoldKind(hold.kind)]
    pause = min(longest, _FIRST_PROBE * 2.0 ** min(hold.probes + 1, 20))
    taken = holds.take_probe(hold.id, now, now + timedelta(seconds=pause))
    # As loaded, not in the database: later messages of this claim get none.
    set_committed_value(hold, "probe_at", None)
    return taken


def accepted(messages: Mapping[int, UUID], now: datetime) -> int:
    """End the holds in spite of which a message was accepted; return how many held messages.

    Where the provider accepts messages and then fails them, wait until the message arrives.
    """
    return end(messages.keys() - holds.note_probes(messages), now) if messages else 0


def end_if_arrived(hold: Hold, now: datetime) -> bool:
    """End a hold if the probe that the provider accepted reached its recipient."""
    if hold.probe_message is None or not held_messages.arrived(hold.probe_message, now):
        return False
    return bool(end([hold.id], now))


def end(ids: Collection[int], now: datetime, by: str | None = None) -> int:
    """End holds; return how many held messages, which are released afterwards."""
    ended = holds.end(ids, now, by)
    for hold in ended:
        events.hold_ended(hold, by, (now - hold.started_at).total_seconds())
    return len(ended)


def _open(key: Key, kind: HoldKind, code: str | None, now: datetime, **columns: Any) -> bool:
    """Open a hold unless it is open; return False if there are too many."""
    # An INSERT that conflicts would use up an id.
    if holds.active(key, kind) is not None:
        return True
    if not holds.has_room():
        _log.error("no more than %d holds: %s is not held", holds.MAX_HOLDS, key.scope)
        return False
    if kind in _LONGEST_PROBE:
        columns["probe_at"] = now + timedelta(seconds=_FIRST_PROBE)
    reason = _explanation(key.provider, code)
    hold = holds.open_hold(key, kind, code, reason, now, **columns)
    if hold is not None:
        events.hold_opened(hold)
    return True


def _explanation(provider: str, code: str | None) -> str:
    """Return our explanation of a code: the text of the provider may hold a phone number."""
    configured = components().providers.get(provider)
    if code is None or configured is None:
        return "The provider does not accept messages at present."
    return configured.explain(code).explanation
