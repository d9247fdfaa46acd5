"""Open and end holds after the answers of providers."""

import logging
from datetime import datetime, timedelta
from typing import Final, NamedTuple
from uuid import UUID

from sqlalchemy.orm.attributes import set_committed_value

from service.domain.scope import HoldKind, Scope
from service.errors import Blocked, NotAccepted
from service.models import Hold
from service.queries import holds

# Messages that a sender must fail before it is certain that the sender, and not the recipient, is
# the reason.
_SUSPECTS: Final = 3
_FIRST_PROBE: Final = 1.0  # seconds
_LONGEST_PROBE: Final = {HoldKind.BLOCKED: 300.0, HoldKind.NOT_ACCEPTING: 60.0}

_log = logging.getLogger(__name__)


class Key(NamedTuple):
    """The scope that a hold stops."""

    scope: Scope
    provider: str = ""
    account: str = ""
    value: str = ""

    def __str__(self) -> str:
        return " ".join(filter(None, (self.scope, self.provider, self.account, self.value)))


def block(key: Key, error: Blocked, message_id: UUID, reason: str, now: datetime) -> bool:
    """Open a hold, or note the message if it is not certain yet; return whether it holds."""
    if key.scope is not Scope.SENDER:
        _open(key, HoldKind.BLOCKED, error.code, reason, now)
        return True
    if holds.active(key, HoldKind.BLOCKED) is not None:
        return True
    hold = holds.active(key, HoldKind.SUSPECTED)
    if hold is None:
        holds.open_hold(
            key, HoldKind.SUSPECTED, error.code, reason, now, suspects=[str(message_id)]
        )
        return False
    hold.suspects = sorted({*hold.suspects, str(message_id)})
    if len(hold.suspects) < _SUSPECTS:
        return False
    holds.end([hold.id], now)
    _open(key, HoldKind.BLOCKED, error.code, reason, now)
    return True


def not_accepting(provider: str, account: str, error: NotAccepted, now: datetime) -> None:
    """Note since when an account accepts nothing."""
    key = Key(Scope.ACCOUNT, provider, account)
    probe_at = now + timedelta(seconds=_FIRST_PROBE)
    holds.open_hold(key, HoldKind.NOT_ACCEPTING, error.code, error.message, now, probe_at=probe_at)


def take_probe(hold: Hold, now: datetime) -> bool:
    """Return whether one message may be tried now in spite of a hold; only one caller gets it."""
    if hold.probe_at is None or hold.probe_at > now:
        return False
    longest = _LONGEST_PROBE[HoldKind(hold.kind)]
    pause = min(longest, _FIRST_PROBE * 2.0 ** min(hold.probes + 1, 20))
    taken = holds.take_probe(hold.id, now, now + timedelta(seconds=pause))
    # Later messages of this claim get none. Not a change: a flush would overwrite the next probe.
    set_committed_value(hold, "probe_at", None)
    return taken


def _open(key: Key, kind: HoldKind, code: str | None, reason: str, now: datetime) -> None:
    probe_at = now + timedelta(seconds=_FIRST_PROBE)
    if holds.open_hold(key, kind, code, reason, now, probe_at=probe_at):
        _log.error("blocked: %s (%s): %s", key, code, reason)
