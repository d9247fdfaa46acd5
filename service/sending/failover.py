"""Park claimed messages on a hold, or move them to another provider of their route."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from service.components import components
from service.domain.report import Source, StatusReport
from service.domain.scope import HOLDING, HoldKind
from service.holds import blocks, release
from service.holds.match import Subject, holds_on
from service.models import Hold, Message
from service.queries.messages import NO_ROUTE, Claimed
from service.recording import record
from service.sending import suppression
from service.sending.alternatives import Alternative, alternatives, behind
from service.sending.ownership import Owners

# The words of the ledger entries.
MOVED: Final = "moved"
NOT_MOVED: Final = "not_moved"


def sendable(
    claimed: Sequence[Claimed], loaded: Sequence[Hold], owners: Owners, now: datetime
) -> list[Claimed]:
    """Return the claimed messages that may be sent now; park the others, in this transaction.

    `loaded` are the holds. A message that moved has another sender, from which its recipient may
    have opted out: then it fails.
    """
    if not loaded and not any(item.message.tried_since for item in claimed):
        return list(claimed)
    placing = Placing(loaded, owners, now)
    places = [(item, placing.place(item.message)) for item in claimed]
    placing.finish()
    placed = [item._replace(holds=passed) for item, passed in places if passed is not None]
    if not placing.moved:
        return placed
    moved = [item for item in placed if item.message.id in placing.moved]
    refused = set(moved) - set(suppression.without_opted_out(moved, now))
    return [item for item in placed if item not in refused]


class Placing:
    """Decides for each message of a claim: send it, move it first, or let it wait."""

    def __init__(self, loaded: Sequence[Hold], owners: Owners, now: datetime) -> None:
        self.moved = set[UUID]()
        self._loaded = loaded
        self._owners = owners
        self._now = now
        self._notes = list[StatusReport]()
        self._parked = dict[int, list[UUID]]()
        self._failover_after = timedelta(seconds=components().settings.failover_after)

    def place(self, message: Message) -> tuple[int, ...] | None:
        """Return the holds in spite of which to send a message now; None if it must wait."""
        # Not back to the provider that has no route: the two would take turns without a pause.
        others = behind if self._leave_without_route(message) else alternatives
        active = holds_on(Subject.of(message), self._loaded)
        stopping = _stopping(active)
        if blocks.take_probes(stopping, self._now) if stopping else self._accepts(active, message):
            return _ids(active)
        other = self._choose(message, others(message, self._owners), bool(stopping))
        if other is not None:
            self._move(message, other, _described([*stopping, *active]))
            return _ids(holds_on(other.subject(message), self._loaded))
        if stopping:
            self._park(message, stopping)
            return None
        return _ids(active)

    def finish(self) -> None:
        """Write what was decided."""
        release.park(self._parked, self._now)
        record.apply(self._notes)

    def _leave_without_route(self, message: Message) -> bool:
        """Move a message to the provider behind one that has no route; tell whether it did."""
        if message.tried_since != NO_ROUTE or not (following := behind(message, self._owners)):
            return False
        self._move(message, following[0], "no route")
        return True

    def _accepts(self, active: Sequence[Hold], message: Message) -> bool:
        """Tell whether the present account is to be tried, as far as a message has a choice.

        If it accepts none, a new message shows now and then whether that has changed. A message
        that it did not accept before has waited long enough.
        """
        if not self._is_late(active, message.tried_since):
            return True
        probes = () if message.tried_since else active
        return any(blocks.take_probe(hold, self._now) for hold in probes)

    def _is_late(self, active: Sequence[Hold], tried_since: datetime | None = None) -> bool:
        """Tell whether an account has accepted nothing, or not this message, for too long."""
        since = [hold.started_at for hold in active if hold.kind == HoldKind.NOT_ACCEPTING]
        since += [tried_since] if tried_since else []
        return bool(since) and min(since) + self._failover_after <= self._now

    def _choose(
        self, message: Message, others: Sequence[Alternative], stopped: bool
    ) -> Alternative | None:
        """Return the first alternative that accepts messages.

        For a message that is stopped, also one that has accepted none for some time.
        """
        for other in others:
            if other.refusal is not None:
                self._note(message, NOT_MOVED, other.refusal)
        active = {
            other: holds_on(other.subject(message), self._loaded)
            for other in others
            if other.refusal is None
        }
        running = [other for other in active if not _stopping(active[other])]
        accepting = [other for other in running if not self._is_late(active[other])]
        return next(iter([*accepting, *(running if stopped else [])]), None)

    def _park(self, message: Message, stopping: Sequence[Hold]) -> None:
        """Park a message: on a pause if there is one, because its end frees the message."""
        hold = next((hold for hold in stopping if hold.probe_at is None), stopping[0])
        self._parked.setdefault(hold.id, []).append(message.id)

    def _move(self, message: Message, other: Alternative, reason: str) -> None:
        self._note(message, MOVED, f"{message.provider} to {other.provider}: {reason}")
        message.provider, message.account = other.provider, other.account
        message.sender = other.sender.address
        message.messaging_service_sid = other.sender.messaging_service_sid
        message.tried_since = None
        self.moved.add(message.id)

    def _note(self, message: Message, word: str, detail: str) -> None:
        """Add a ledger entry without a status."""
        self._notes.append(
            StatusReport(
                provider=message.provider,
                source=Source.API,
                word=word,
                status=None,
                received_at=self._now,
                message_id=message.id,
                provider_time=detail[:64],
            )
        )


def _described(active: Sequence[Hold]) -> str:
    """Return why a message moves: the first hold, if there is one."""
    return " ".join(filter(None, (active[0].kind, active[0].code))) if active else "no answer"


def _stopping(active: Sequence[Hold]) -> list[Hold]:
    return [hold for hold in active if hold.kind in HOLDING]


def _ids(active: Sequence[Hold]) -> tuple[int, ...]:
    return tuple(hold.id for hold in active)
