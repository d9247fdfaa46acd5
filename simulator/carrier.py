"""Walks each message through its life.

https://www.twilio.com/docs/messaging/guides/outbound-message-status-in-status-callbacks
"""

import asyncio
from collections.abc import Mapping
from datetime import UTC, datetime
from hashlib import blake2b
from typing import Final
from uuid import uuid4

from simulator import faults
from simulator.books import Books
from simulator.callback_form import REPORTED
from simulator.callbacks import Callbacks, Event
from simulator.codes import Refusal
from simulator.config import Config
from simulator.dice import roll
from simulator.fates import Fates
from simulator.faults import Faults
from simulator.message import Message, Order, new_message
from simulator.tasks import Tasks
from simulator.wire import Wire

_PENDING: Final = frozenset({"accepted", "scheduled", "queued", "sending"})
_SHORTEST_STEP: Final = 0.010
_LONGEST_STEP: Final = 0.060
#: The sender that a Messaging Service picks, by channel.
_POOL: Final = {
    None: "+15005550006",
    "whatsapp": "whatsapp:+14155238886",
    "rcs": "rcs:simulator_agent",
}


class Carrier:
    """Takes messages, sends them on their way and reports how they fare."""

    def __init__(
        self,
        config: Config,
        books: Books,
        faults: Faults,
        callbacks: Callbacks,
        tasks: Tasks,
        wires: Mapping[str, Wire],
    ) -> None:
        self._config = config
        self._wires = wires
        self._books = books
        self._faults = faults
        self._callbacks = callbacks
        self._tasks = tasks
        self._fates = Fates(config.fates)
        # SIDs differ from run to run, though the story does not: a client's database may
        # outlive this process, and must never meet an old SID on a new message.
        self._run = uuid4().bytes

    def take(self, order: Order, number: int, fault: str | None) -> Message:
        """Accept an order under its number."""
        fate = self._fates.at(roll(self._config.seed, "fate", number))
        message = new_message(number, self._new_sid(order, number), order, fate, fault)
        self._books.add(message)
        self._books.enter(message, order.first_status)
        return message

    def start(self, message: Message) -> asyncio.Task[None]:
        """Send a message on its way, at once or when its date has come."""
        if message.order.send_at:
            message.release = asyncio.Event()
            waiting = self._wait_for_date(message, message.order.send_at, message.release)
            return self._tasks.wait(waiting)
        return self._depart(message)

    def release(self, message: Message) -> bool:
        """Bring the date of a scheduled message forward to now."""
        if not message.release:
            return False
        message.release.set()
        self._depart(message)
        return True

    def cancel(self, message: Message) -> None:
        """Stop a scheduled message. Raises Refusal when it is too late."""
        if not message.release:
            raise Refusal(30409)
        message.release.set()
        message.release = None
        if event := self._enter(message, "canceled"):
            self._tasks.work(self._report(event))

    def redact(self, message: Message) -> None:
        """Forget the text of a message. Raises Refusal while it is still on its way."""
        self._check_complete(message)
        message.body = ""
        message.updated_at = datetime.now(UTC)

    def delete(self, message: Message) -> None:
        """Hide a message from the API. Raises Refusal while it is still on its way."""
        self._check_complete(message)
        message.deleted = True

    async def force(self, message: Message, status: str, error_code: int | None) -> None:
        """Put any status on a message and deliver its callback, free of faults."""
        message.error_code = error_code
        message.updated_at = datetime.now(UTC)
        self._books.enter(message, status)
        if event := self._callbacks.event(message):
            await self._tasks.work(self._callbacks.deliver(event, faults.NONE))

    async def _wait_for_date(
        self, message: Message, send_at: datetime, release: asyncio.Event
    ) -> None:
        seconds = (send_at - datetime.now(UTC)).total_seconds()
        try:
            await asyncio.wait_for(release.wait(), max(seconds, 0))
        except TimeoutError:
            self._depart(message)

    def _depart(self, message: Message) -> asyncio.Task[None]:
        message.release = None
        return self._tasks.work(self._walk(message))

    async def _walk(self, message: Message) -> None:
        """Go through all further statuses; end when the client has been told of each."""
        reports = []
        for step, status in enumerate(_path(message)):
            await asyncio.sleep(self._pause(message, step))
            if event := self._enter(message, status):
                reports.append(self._tasks.work(self._report(event)))
        await asyncio.gather(*reports)

    def _enter(self, message: Message, status: str) -> Event | None:
        now = datetime.now(UTC)
        message.updated_at = now
        if status == "queued":
            message.sender = message.sender or _POOL[message.order.channel]
        elif status == "sending":
            self._books.put_on_air(message)
        elif status == "sent":
            message.sent_at = now
        elif status in {"failed", "undelivered"}:
            message.error_code = message.fate.error_code
        self._books.enter(message, status)
        return self._callbacks.event(message) if status in REPORTED else None

    async def _report(self, event: Event) -> None:
        struck = self._faults.on_callback(event.message.number, event.index)
        await self._callbacks.deliver(event, struck)

    def _pause(self, message: Message, step: int) -> float:
        position = roll(self._config.seed, "pause", message.number, step)
        step_length = _SHORTEST_STEP + position * (_LONGEST_STEP - _SHORTEST_STEP)
        return step_length * self._config.pace

    def _new_sid(self, order: Order, number: int) -> str:
        digest = blake2b(str(number).encode(), digest_size=16, key=self._run)
        return self._wires[order.wire].sid(digest.digest(), bool(order.media))

    @staticmethod
    def _check_complete(message: Message) -> None:
        if message.status in _PENDING:
            raise Refusal(20009)


def _path(message: Message) -> list[str]:
    """Return the statuses that follow the first."""
    start = [] if "queued" in message.statuses else ["queued"]
    if message.fate.status == "failed":  # never handed to a network
        return [*start, "failed"]
    path = [*start, "sending", "sent"]
    if message.fate.status != "sent":
        path.append(message.fate.status)
    if message.order.channel and message.fate.status == "delivered":
        path.append("read")
    return path
