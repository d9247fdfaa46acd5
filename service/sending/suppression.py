"""Fails claimed messages whose recipients opted out, without a call to the provider."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from service.domain.opt_out import PROVIDER
from service.domain.report import Source, StatusReport
from service.domain.status import Status
from service.errors import OPTED_OUT
from service.models import Message, OptOut
from service.providers.sandbox import SANDBOX
from service.queries import messages, opt_outs
from service.queries.messages import Claimed
from service.recording import record

# The word of the ledger entry; its error code is the provider's.
SUPPRESSED: Final = "opted_out"


def without_opted_out(claimed: Sequence[Claimed], now: datetime) -> list[Claimed]:
    """Return the claimed messages that may be sent; fail the others, in this transaction."""
    numbers = {item.message.to for item in claimed if item.message.provider != SANDBOX}
    opted_out = opt_outs.by_recipient(numbers) if numbers else {}
    sendable, refused = list[Claimed](), list[tuple[Message, OptOut]]()
    for item in claimed:
        pairs = opt_outs.pairs_of(item.message) if opted_out else ()
        opt_out = next((opted_out[pair] for pair in pairs if pair in opted_out), None)
        if opt_out is None:
            sendable.append(item)
        else:
            refused.append((item.message, opt_out))
    messages.leave_without_attempt([message.id for message, _ in refused])
    record.apply([_verdict(message, opt_out, now) for message, opt_out in refused])
    return sendable


def _verdict(message: Message, opt_out: OptOut, now: datetime) -> StatusReport:
    """Return our own verdict. It names no attempt: a report about an earlier one outranks it."""
    return StatusReport(
        provider=message.provider,
        source=Source.API,
        word=SUPPRESSED,
        status=Status.FAILED,
        received_at=now,
        message_id=message.id,
        attempt_number=message.outcome_attempt or 0,
        error_code=_error_code(opt_out),
        error_message=f"Not sent: the recipient opted out on {opt_out.since:%Y-%m-%d %H:%M:%S}Z.",
    )


def _error_code(opt_out: OptOut) -> str:
    """Return the code of the provider's refusal if that began the opt-out, else ours."""
    return (opt_out.reason == PROVIDER and opt_out.error_code) or OPTED_OUT
