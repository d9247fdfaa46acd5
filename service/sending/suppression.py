"""Spare: fail a claimed message whose recipient opted out, and ask no provider about it."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from service.domain.report import Source, StatusReport
from service.domain.status import Status
from service.models import Message, OptOut
from service.providers.sandbox import NAME as TEST
from service.queries import messages, opt_outs
from service.recording import record

# Our word in the ledger; the code beside it is the provider's.
SPARED: Final = "opted_out"


def spare(claimed: Sequence[Message], now: datetime) -> list[Message]:
    """Return the claimed messages that may go out; fail the others, in this transaction."""
    numbers = {message.to for message in claimed if message.provider != TEST}
    known = opt_outs.by_recipient(numbers) if numbers else {}
    if not known:
        return list(claimed)
    found = {message.id: known.get(opt_outs.pair_of(message)) for message in claimed}
    for message in claimed:
        if found[message.id] is not None:
            # No call, so no attempt.
            messages.leave_submitting(
                message.id, message.attempts, attempts=message.attempts - 1, submitted_at=None
            )
    record.apply([_verdict(one, out, now) for one in claimed if (out := found[one.id])])
    return [message for message in claimed if found[message.id] is None]


def _verdict(message: Message, known: OptOut, now: datetime) -> StatusReport:
    """Return our own verdict. It names no attempt: what is said of an earlier one outranks it."""
    return StatusReport(
        provider=message.provider,
        source=Source.API,
        word=SPARED,
        status=Status.FAILED,
        received_at=now,
        message_id=message.id,
        error_code=known.error_code,
        error_message=f"Not asked: said no on {known.since:%Y-%m-%d %H:%M:%S}Z.",
    )
