"""Let claimed messages wait for a hold, or move them to the next provider of their route."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final, NamedTuple
from uuid import UUID

from service.components import components
from service.config.routes import Target
from service.domain.report import Source, StatusReport
from service.domain.scope import HOLDING, HoldKind
from service.holds import blocks
from service.holds.match import Subject, holds_on
from service.models import Hold, Message
from service.providers.base import Sender
from service.queries import holds
from service.recording import record
from service.sending.routes import accounts_for, default_sender, targets

# The words of the ledger entries.
MOVED: Final = "moved"
NOT_MOVED: Final = "not_moved"

# Fields that not every provider supports.
_FIELDS: Final = ("messaging_service_sid", "media_urls", "content_sid", "content_variables")


class Sendable(NamedTuple):
    """A claimed message that may be sent now, and the active holds in spite of which it is."""

    message: Message
    due_at: datetime
    holds: tuple[int, ...] = ()


def sendable(
    claimed: Sequence[tuple[Message, datetime]], loaded: Sequence[Hold], now: datetime
) -> list[Sendable]:
    """Return the claimed messages that may be sent now; park the others, in this transaction.

    `loaded` are the holds; each message comes with the time at which it was due.
    """
    placing = Placing(loaded, now)
    places = [(message, due_at, placing.place(message)) for message, due_at in claimed]
    placing.finish()
    return [
        Sendable(message, due_at, passed)
        for message, due_at, passed in places
        if passed is not None
    ]


def has_next(message: Message) -> bool:
    """Tell whether another provider of the route can take a message."""
    return next(iter(_others(message)), None) is not None


class Placing:
    """Decides for each message of a claim: send it, move it first, or let it wait."""

    def __init__(self, loaded: Sequence[Hold], now: datetime) -> None:
        self._loaded = loaded
        self._now = now
        self._reports = list[StatusReport]()
        self._parked = dict[int, list[UUID]]()
        self._failover_after = timedelta(seconds=components().settings.failover_after)

    def place(self, message: Message) -> tuple[int, ...] | None:
        """Return the holds in spite of which to send a message now; None if it must wait."""
        while True:
            active = holds_on(Subject.of(message), self._loaded)
            stopping = [hold for hold in active if hold.kind in HOLDING]
            if self._passes(active, stopping, message):
                return tuple(hold.id for hold in active)
            reason = next(iter([*stopping, *active]), None)
            if not self._move(message, reason):
                break
        if not stopping:
            return tuple(hold.id for hold in active)
        self._parked.setdefault(stopping[0].id, []).append(message.id)
        return None

    def finish(self) -> None:
        """Write what was decided."""
        for hold_id, message_ids in self._parked.items():
            holds.park(message_ids, hold_id)
        record.apply(self._reports)

    def _passes(self, active: Sequence[Hold], stopping: Sequence[Hold], message: Message) -> bool:
        """Tell whether the present provider gets a message: nothing holds it, or it probes."""
        if stopping:
            return all(blocks.take_probe(hold, self._now) for hold in stopping)
        since = [hold.started_at for hold in active if hold.kind == HoldKind.NOT_ACCEPTING]
        since += [message.tried_since] if message.tried_since else []
        if not since or min(since) + self._failover_after > self._now:
            return True
        return any(blocks.take_probe(hold, self._now) for hold in active)

    def _move(self, message: Message, reason: Hold | None) -> bool:
        """Move a message to the next provider that can send it now; tell whether it did."""
        for other in _others(message):
            if other.refusal is not None:
                self._reports.append(_note(message, NOT_MOVED, other.refusal, self._now))
                continue
            if any(hold.kind in HOLDING for hold in holds_on(other.subject(message), self._loaded)):
                continue
            self._reports.append(
                _note(message, MOVED, _described(message, other, reason), self._now)
            )
            message.provider, message.account = other.provider, other.account
            message.sender = other.sender.address
            message.messaging_service_sid = other.sender.messaging_service_sid
            message.tried_since = None
            return True
        return False


class Other(NamedTuple):
    """Another provider of a message's route, or why it cannot send the message."""

    provider: str
    account: str
    sender: Sender
    refusal: str | None = None

    def subject(self, message: Message) -> Subject:
        """Return what holds of this provider can be about."""
        sender = self.sender.messaging_service_sid or self.sender.address or ""
        return Subject(self.provider, self.account, sender, message.client_id, message.to)


def _others(message: Message) -> Sequence[Other]:
    """Return the providers behind the present one in the route of a message.

    A message whose provider the client named stays with it, and so does one that may have been
    sent already.
    """
    maybe_sent = message.attempts - 1 > (message.outcome_attempt or 0)
    if message.provider_fixed or maybe_sent:
        return ()
    settings, providers = components().settings, components().providers
    route = targets(message.to, settings, providers)
    places = [place for place, target in enumerate(route) if _is_present(target, message)]
    behind = route[places[-1] + 1 :] if places else route
    return [other for target in behind if (other := _other(message, target)) is not None]


def first_of_route(message: Message, client_account: str | None) -> Other | None:
    """Return the first provider of a message's route that can send it.

    None if the message stays where it is: that is the first, no other can send it, or the client
    named its provider.
    """
    if message.provider_fixed:
        return None
    configured = is_configured(message)
    for target in targets(message.to, components().settings, components().providers):
        if configured and _is_present(target, message):
            return None
        other = _other(message, target, client_account)
        if other is not None and other.refusal is None:
            return other
    return None


def is_configured(message: Message) -> bool:
    """Tell whether the settings have the provider and the account of a message."""
    provider = components().providers.get(message.provider)
    return provider is not None and message.account in provider.accounts


def _is_present(target: Target, message: Message) -> bool:
    return target.provider == message.provider and target.account in (None, message.account)


def _other(message: Message, target: Target, client_account: str | None = None) -> Other | None:
    provider = components().providers.get(target.provider)
    fields = [name for name in _FIELDS if getattr(message, name) is not None]
    if not message.sender_fixed:
        fields = [name for name in fields if name != "messaging_service_sid"]
    if provider is None or provider.unsupported_fields(message.to, fields):
        return None
    name = accounts_for(provider, message.to, [client_account, target.account])[0]
    account = provider.accounts[name]
    if message.sender_fixed:
        sender = Sender(message.sender, message.messaging_service_sid)
        refusal = None if account.owns(sender) else f"{target.provider} does not own the sender"
        return Other(target.provider, name, sender, refusal)
    default = default_sender(account, message.to)
    return None if default is None else Other(target.provider, name, default)


def _described(message: Message, other: Other, reason: Hold | None) -> str:
    why = " ".join(filter(None, (reason.kind, reason.code))) if reason else "no answer"
    return f"{message.provider} to {other.provider}: {why}"


def _note(message: Message, word: str, detail: str, now: datetime) -> StatusReport:
    """Return a ledger entry without a status."""
    return StatusReport(
        provider=message.provider,
        source=Source.API,
        word=word,
        status=None,
        received_at=now,
        message_id=message.id,
        provider_time=detail[:64],
    )
