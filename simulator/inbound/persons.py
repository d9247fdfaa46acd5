"""Takes what persons write, and sends it to the webhook URL of the account."""

import asyncio
from collections.abc import Mapping
from datetime import UTC, datetime
from itertools import count
from uuid import uuid4

from simulator.callback_event import Event
from simulator.callbacks import Callbacks
from simulator.faults import NONE, Faults
from simulator.inbound.blocks import Blocks
from simulator.inbound.magic_persons import answer_of
from simulator.inbound.message import InboundMessage, InboundText
from simulator.inbound.urls import InboundUrls
from simulator.message import Message
from simulator.provider_format import ProviderFormat
from simulator.records import Records
from simulator.tasks import Tasks


class Persons:
    """Writes inbound messages in the name of persons."""

    def __init__(
        self,
        records: Records,
        faults: Faults,
        callbacks: Callbacks,
        tasks: Tasks,
        formats: Mapping[str, ProviderFormat],
        urls: InboundUrls,
        blocks: Blocks,
    ) -> None:
        self._records = records
        self._faults = faults
        self._callbacks = callbacks
        self._tasks = tasks
        self._formats = formats
        self._urls = urls
        self._blocks = blocks
        self._numbers = count(1)

    def write(
        self,
        text: InboundText,
        *,
        faults: frozenset[str] | None = None,
        sid: str | None = None,
        received_at: datetime | None = None,
    ) -> tuple[InboundMessage, asyncio.Task[None] | None]:
        """Take a message and send it to the webhook URL, if there is one.

        Without `faults`, they occur at the configured rates.
        """
        number = next(self._numbers)
        message = InboundMessage(
            number=number,
            sid=sid or self._formats[text.account.provider].sid(uuid4().bytes, bool(text.media)),
            text=text,
            received_at=received_at or datetime.now(UTC),
        )
        self._records.add_inbound(message)
        self._blocks.apply(text)
        injected = self._faults.on_inbound(number) if faults is None else faults
        return message, self._send(message, injected)

    def repeat(self, message: InboundMessage) -> asyncio.Task[None] | None:
        """Send a message to the webhook URL again, with the same SID."""
        return self._send(message, NONE)

    def answer(self, message: Message) -> None:
        """Answer a delivered message in the name of its recipient, if that is a magic number."""
        body = answer_of(message.order.recipient_number)
        if body is not None and message.sender:
            self.write(reply_to(message, body))

    def _send(self, message: InboundMessage, faults: frozenset[str]) -> asyncio.Task[None] | None:
        url = self._urls.of(message.account)
        if url is None:
            return None
        totals = self._records.inbound.callbacks
        totals["due"] += 1
        request = self._formats[message.account.provider].inbound(message, url)
        event = Event(
            subject=message,
            index=message.number,
            request=request,
            group=message.text.conversation,
            key=("inbound", message.number),
            totals=totals,
        )
        return self._tasks.work(self._callbacks.deliver(event, faults))


def reply_to(message: Message, body: str, *, named: bool = False) -> InboundText:
    """Return a text with which the recipient of a message answers its sender.

    If it is `named`, the provider says which message is answered.
    """
    assert message.sender is not None
    return InboundText(
        account=message.account,
        sender=message.order.to,
        to=message.sender,
        service=message.order.service,
        body=body,
        answered_sid=message.sid if named else None,
        answered_reference=message.order.reference if named else None,
    )
