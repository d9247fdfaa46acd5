"""Why messages wait, in words that a client may see."""

from collections.abc import Iterable
from datetime import datetime
from typing import NamedTuple

from service.database import db
from service.domain.scope import HoldKind, Scope
from service.domain.status import Status
from service.models import Hold, Message
from service.queries import holds


class Waiting(NamedTuple):
    """Why a message waits, and since when its hold is open."""

    reason: str
    since: datetime


def waiting(messages: Iterable[Message]) -> dict[int, Waiting]:
    """Return by hold why messages wait, with one query; none if no message waits."""
    ids = {message.hold_id for message in messages if is_parked(message)}
    by_id = holds.by_ids({hold_id for hold_id in ids if hold_id is not None})
    return {hold_id: Waiting(reason(hold), hold.started_at) for hold_id, hold in by_id.items()}


def hold_of(message: Message) -> Hold | None:
    """Return the hold for which a message waits."""
    return db.session.get(Hold, message.hold_id) if is_parked(message) else None


def is_parked(message: Message) -> bool:
    """Tell whether a message waits for a hold."""
    return message.status == Status.PENDING and message.hold_id is not None


def reason(hold: Hold) -> str:
    """Return why messages wait: no internal detail except the provider's error code."""
    if hold.kind == HoldKind.PAUSED:
        return f"{_what(hold)} is paused by an operator"
    code = f" (error {hold.code})" if hold.code else ""
    if hold.scope == Scope.COUNTRY:
        return f"the provider does not send to the recipient's country{code}"
    return f"{_what(hold)} is blocked by the provider{code}"


def _what(hold: Hold) -> str:
    return {
        Scope.PROVIDER: "the provider",
        Scope.CLIENT: "this client",
        Scope.ACCOUNT: "the provider account",
        Scope.COUNTRY: "the recipient's country",
        Scope.SENDER: "the sender",
    }[Scope(hold.scope)]
