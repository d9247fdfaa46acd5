"""Moves each message through its statuses.

https://www.twilio.com/docs/messaging/guides/outbound-message-status-in-status-callbacks
"""

import asyncio
from collections.abc import Mapping
from datetime import UTC, datetime
from hashlib import blake2b
from typing import Final
from uuid import uuid4

from simulator import faults
from simulator.callback_event import Event
from simulator.callback_form import REPORTED
from simulator.callbacks import Callbacks
from simulator.config import Config
from simulator.error_codes import ApiError
from simulator.faults import Faults
from simulator.inbound.persons import Persons
from simulator.message import Message, Order, new_message
from simulator.outcomes import Outcomes
from simulator.provider_format import ProviderFormat
from simulator.queue_time import EXPIRED, QueueTime, expiry, seconds_left
from simulator.records import Records
from simulator.seeded_random import draw
from simulator.tasks import Tasks

_PENDING: Final = frozenset({"accepted", "scheduled", "queued", "sending"})
_MIN_STEP: Final = 0.010
_MAX_STEP: Final = 0.060
#: The sender that a Messaging Service picks, by channel.
_POOL: Final = {
    None: "+15005550006",
    "whatsapp": "whatsapp:+14155238886",
    "rcs": "rcs:simulator_agent",
}


class Lifecycle:
    """Accepts messages, changes their statuses and sends the callbacks."""

    def __init__(
        self,
        config: Config,
        records: Records,
        faults: Faults,
        callbacks: Callbacks,
        tasks: Tasks,
        queue_time: QueueTime,
        formats: Mapping[str, ProviderFormat],
        persons: Persons,
    ) -> None:
        self._config = config
        self._formats = formats
        self._records = records
        self._faults = faults
        self._callbacks = callbacks
        self._tasks = tasks
        self._queue_time = queue_time
        self._persons = persons
        self.outcomes = Outcomes(config.outcomes)
        # SIDs differ from run to run, also with the same seed: a client's database may outlive
        # this process, and a new message must not get the SID of an old one.
        self._run_id = uuid4().bytes

    def accept(self, order: Order, number: int, fault: str | None) -> Message:
        """Create the message of an order."""
        # Another key would change the outcomes of seeds that documents cite.
        outcome = self.outcomes.choose(draw(self._config.seed, "fate", number))
        message = new_message(number, self._new_sid(order, number), order, outcome, fault)
        self._records.add(message)
        self._records.set_status(message, order.first_status)
        return message

    def start(self, message: Message) -> asyncio.Task[None]:
        """Start sending a message, now or at its `send_at`."""
        if message.order.send_at:
            message.release = asyncio.Event()
            scheduled = self._wait_until(message, message.order.send_at, message.release)
            return self._tasks.wait(scheduled)
        return self._start_sending(message)

    def release(self, message: Message) -> bool:
        """Send a scheduled message now. Return False for any other message."""
        if not message.release:
            return False
        message.release.set()
        self._start_sending(message)
        return True

    def cancel(self, message: Message) -> None:
        """Cancel a scheduled message. Raises ApiError for any other message."""
        if not message.release:
            raise ApiError(30409)
        message.release.set()
        message.release = None
        if event := self._set_status(message, "canceled"):
            self._tasks.work(self._report(message, event))

    def redact(self, message: Message) -> None:
        """Remove the text of a message. Raises ApiError while it is being sent."""
        self._check_complete(message)
        message.body = ""
        message.updated_at = datetime.now(UTC)

    def delete(self, message: Message) -> None:
        """Hide a message from the API. Raises ApiError while it is being sent."""
        self._check_complete(message)
        message.deleted = True

    async def force(self, message: Message, status: str, error_code: int | None) -> None:
        """Set any status on a message and send its callback without faults."""
        message.error_code = error_code
        message.updated_at = datetime.now(UTC)
        self._records.set_status(message, status)
        if event := self._callbacks.new_event(message):
            await self._tasks.work(self._callbacks.deliver(event, faults.NONE))

    async def _wait_until(
        self, message: Message, send_at: datetime, release: asyncio.Event
    ) -> None:
        seconds = (send_at - datetime.now(UTC)).total_seconds()
        try:
            await asyncio.wait_for(release.wait(), max(seconds, 0))
        except TimeoutError:
            self._start_sending(message)

    def _start_sending(self, message: Message) -> asyncio.Task[None]:
        message.release = None
        message.expires_at = expiry(message.order)
        return self._tasks.work(self._run(message))

    async def _run(self, message: Message) -> None:
        """Set all further statuses; return when every callback was sent."""
        reports = []
        for step, status in enumerate(_next_statuses(message)):
            expired = await self._expires_first(message, self._pause(message, step))
            if expired:
                message.outcome = EXPIRED
            if event := self._set_status(message, "failed" if expired else status):
                reports.append(self._tasks.work(self._report(message, event)))
            if expired:
                break
        await asyncio.gather(*reports)

    async def _expires_first(self, message: Message, pause: float) -> bool:
        """Wait until the next status; return whether the message expired in the queue before."""
        if message.status == "queued":
            pause += self._queue_time.seconds
        expired = seconds_left(message) <= pause
        await asyncio.sleep(max(min(seconds_left(message), pause), 0))
        return expired or seconds_left(message) <= 0  # a busy process may wake late

    def _set_status(self, message: Message, status: str) -> Event | None:
        now = datetime.now(UTC)
        message.updated_at = now
        if status == "queued":
            message.sender = message.sender or _POOL[message.order.channel]
        elif status == "sending":
            self._records.put_on_air(message)
        elif status == "sent":
            message.sent_at = now
        elif status in {"failed", "undelivered"}:
            message.error_code = message.outcome.error_code
        elif status == "delivered":
            self._persons.answer(message)
        self._records.set_status(message, status)
        return self._callbacks.new_event(message) if status in REPORTED else None

    async def _report(self, message: Message, event: Event) -> None:
        injected = self._faults.on_callback(message.number, event.index)
        await self._callbacks.deliver(event, injected)

    def _pause(self, message: Message, step: int) -> float:
        position = draw(self._config.seed, "pause", message.number, step)
        step_length = _MIN_STEP + position * (_MAX_STEP - _MIN_STEP)
        return step_length * self._config.pace

    def _new_sid(self, order: Order, number: int) -> str:
        digest = blake2b(str(number).encode(), digest_size=16, key=self._run_id)
        return self._formats[order.provider].sid(digest.digest(), bool(order.media))

    @staticmethod
    def _check_complete(message: Message) -> None:
        if message.status in _PENDING:
            raise ApiError(20009)


def _next_statuses(message: Message) -> list[str]:
    """Return the statuses that follow the first."""
    queued = [] if "queued" in message.statuses else ["queued"]
    if message.outcome.status == "failed":  # before it reaches a mobile network
        return [*queued, "failed"]
    statuses = [*queued, "sending", "sent"]
    if message.outcome.status != "sent":
        statuses.append(message.outcome.status)
    if message.order.channel and message.outcome.status == "delivered":
        statuses.append("read")
    return statuses
