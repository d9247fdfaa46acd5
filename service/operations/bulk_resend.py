"""Sends many failed or expired messages again, in batches of one short transaction each."""

import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, Final, NamedTuple
from uuid import UUID

from service.database import transaction
from service.domain.message_ids import first_id
from service.domain.status import Status
from service.errors import NotFound
from service.observability import events
from service.queries import resends
from service.sending.resend import examine, resend_all
from service.sending.resend_refusals import Order, Refusal

# Messages of one transaction: claims and callbacks of the same messages wait for it.
_BATCH: Final = 500
# The statuses of messages that may be sent again.
_STATUSES: Final = (Status.FAILED, Status.EXPIRED)


class Selection(NamedTuple):
    """Failed and expired messages: accepted from `since` to before `until`."""

    since: datetime
    until: datetime
    error_code: str | None = None
    client: str | None = None  # its name; None: all clients, without test keys


class Limits(NamedTuple):
    """When to stop: after this many messages, or this time (monotonic, seconds)."""

    messages: int
    ends: float = float("inf")


class Result(NamedTuple):
    """How many messages are sent again, why others are not, and whether a limit ended the run."""

    sent: int
    skipped: Mapping[Refusal, int]
    stopped: bool

    @property
    def total(self) -> int:
        """Return how many messages the selection has."""
        return self.sent + sum(self.skipped.values())


def count(selection: Selection, order: Order, limits: Limits) -> Result:
    """Return what `run` would do, and change nothing. Raises NotFound for an unknown client."""
    return _each_batch(selection, limits, lambda ids: examine(ids, order))


def run(
    selection: Selection,
    order: Order,
    limits: Limits,
    progress: Callable[[int], None] = lambda _messages: None,
) -> Result:
    """Send the messages of a selection again. Raises NotFound for an unknown client.

    `progress` is called with the number of messages done. A run that was interrupted can be
    repeated: a message that is pending again is not selected.
    """
    result = _each_batch(selection, limits, lambda ids: resend_all(ids, order), progress)
    if order.operator is not None:
        events.operator_action(order.operator, "resent", messages=result.sent)
    return result


def _each_batch(
    selection: Selection,
    limits: Limits,
    treat: Callable[[Sequence[UUID]], Mapping[UUID, Refusal | None]],
    progress: Callable[[int], None] = lambda _messages: None,
) -> Result:
    counts, stopped = Counter[Refusal | None](), False
    for ids in _batches(selection):
        left = 0 if time.monotonic() > limits.ends else limits.messages - counts.total()
        if chosen := ids[:left]:
            counts.update(treat(chosen).values())
            progress(counts.total())
        if stopped := len(ids) > left:
            break
    sent = counts.pop(None, 0)
    return Result(sent, {r: n for r, n in counts.items() if r is not None}, stopped)


def _batches(selection: Selection) -> Iterator[Sequence[UUID]]:
    """Yield the ids of a selection; empty batches, too, so that the caller sees the time."""
    with transaction():
        client_ids = resends.client_ids(selection.client)
    if selection.client is not None and not client_ids:
        raise NotFound(f"there is no client {selection.client!r}; `clients list` shows all")
    for client_id in client_ids:
        for status in _STATUSES:
            yield from _batches_of(selection, client_id, status)


def _batches_of(selection: Selection, client_id: int, status: Status) -> Iterator[Sequence[UUID]]:
    after, end = _just_before(selection.since), first_id(selection.until)
    while rows := _page(client_id, status, after, end):
        yield [row.id for row in rows if selection.error_code in (None, row.error_code)]
        after = rows[-1].id


def _page(client_id: int, status: Status, after: UUID, end: UUID) -> Sequence[Any]:
    with transaction():
        return resends.page(client_id, status, after, end, _BATCH)


def _just_before(moment: datetime) -> UUID:
    return UUID(int=max(0, first_id(moment).int - 1))
