"""The provider of test keys: it sends nothing, and the number decides the outcome (`numbers`).

It answers and calls back in Twilio's words, without a network. It stores nothing: the number gives
the outcome, the attempt gives the number of tries, and both are part of the message id.
"""

from collections.abc import Callable, Collection, Mapping
from datetime import UTC, datetime
from typing import Final
from uuid import UUID

from service.domain.account import DEFAULT_ACCOUNT
from service.domain.report import Source, StatusReport
from service.errors import ErrorFact, Forged, NotAccepted, OutcomeUnknown, Refused
from service.providers.base import (
    Account,
    Callback,
    CallbackRequest,
    Inbound,
    InboundAnswer,
    LookUpQuery,
    Outbound,
    RefusalAdvice,
    Sender,
)
from service.providers.inbound import ListPage, ListQuery
from service.providers.sandbox.forms import DEFAULT_SENDER, FAILURES, reply_form, status_form
from service.providers.sandbox.numbers import RECIPIENTS, Answer, Outcome, outcome_of
from service.providers.sanitize import as_uuid
from service.providers.twilio import errors, inbound, reports

SANDBOX: Final = "sandbox"
# Message ids keep the prefix of the earlier name, so that older messages are found.
_SID_PREFIX: Final = "test"


class Sandbox:
    """A provider that exists in this process only, with one account: itself."""

    name: Final = SANDBOX
    routes: Final[Collection[str]] = ()

    def __init__(self, call_back: Callable[[Callback], None]) -> None:
        """Use `call_back` to store a callback as if it had been received and verified."""
        self._call_back = call_back

    @property
    def accounts(self) -> Mapping[str, Account]:
        """Return itself, as the default account."""
        return {DEFAULT_ACCOUNT: self}

    def has_service(self, messaging_service_sid: str) -> bool:
        """Return True: it accepts every sender."""
        return True

    def owns(self, sender: Sender) -> bool:
        """Return False: the key selects this provider, not the sender."""
        return False

    def default_sender(self) -> Sender:
        """Return the sender of messages that name none."""
        return Sender(DEFAULT_SENDER)

    def unsupported_fields(self, to: str, fields: Collection[str]) -> list[str]:
        """Return nothing: it supports all fields."""
        return []

    def send(self, outbound: Outbound) -> StatusReport:
        """Do what the number stands for. Raises Refused, NotAccepted or OutcomeUnknown."""
        outcome = outcome_of(outbound.to, outbound.sender)
        answer = outcome.answer_to(outbound.attempt + outbound.tries)
        if answer is Answer.REFUSED:
            raise Refused(_text(outcome), outcome.code, _raw(outcome))
        if answer is Answer.NOT_ACCEPTED:
            raise NotAccepted(_text(outcome), outcome.code, _raw(outcome))
        if answer is Answer.LOST:
            raise OutcomeUnknown("no answer (magic number)")
        sid = _sid(outbound.to, outbound.attempt_id)
        # Before the answer, as may happen with a real provider.
        for word in outcome.callbacks:
            form = status_form(sid, word, outcome.code)
            self._call_back(_callback(outbound.attempt_id, form))
        if outcome.reply is not None:
            reply_sid = f"{_SID_PREFIX}-reply-{outbound.attempt_id.hex}"
            form = reply_form(reply_sid, outbound, outcome.reply)
            self._call_back(_callback(outbound.attempt_id, form))
        return _report("queued", Source.API, outbound.attempt_id, sid)

    def cancel(self, attempt_id: UUID, provider_sid: str) -> StatusReport:
        """Raise Refused: it schedules nothing, so there is nothing to cancel."""
        raise Refused("This message cannot be canceled", "30409")

    def fetch(self, attempt_id: UUID, provider_sid: str) -> StatusReport:
        """Return the final status of a message. Raises Refused for an unknown id."""
        outcome = outcome_of(_number(provider_sid, attempt_id))
        return _report(outcome.ends, Source.RECONCILIATION, attempt_id, provider_sid, outcome.code)

    def find(self, query: LookUpQuery) -> list[StatusReport]:
        """Return the message, if its number lets a look-up find it."""
        outcome = outcome_of(query.to, query.sender)
        if not outcome.is_found:
            return []
        sid = _sid(query.to, query.attempt_id)
        return [_report(outcome.ends, Source.RECONCILIATION, query.attempt_id, sid)]

    def confirm(self, query: LookUpQuery, provider_sid: str) -> StatusReport:
        """Return the final status of a message. Raises Refused for the id of another message."""
        if provider_sid != _sid(query.to, query.attempt_id):
            raise Refused(f"{provider_sid} is another message")
        return self.fetch(query.attempt_id, provider_sid)

    def listed_by(self, senders: Collection[str]) -> Collection[str]:
        """Return nothing: its inbound messages never miss."""
        return ()

    def list_inbound(self, query: ListQuery) -> ListPage:
        """Return an empty page."""
        return ListPage(())

    def with_media(self, received: Inbound) -> Inbound:
        """Return the message."""
        return received

    def verify(self, request: CallbackRequest) -> None:
        """Raise Forged: its callbacks do not arrive over the network."""
        raise Forged("not_over_the_network")

    def refusal_advice(self) -> Mapping[str, RefusalAdvice]:
        """Return nothing: no setting can be wrong."""
        return {}

    def parse(self, callback: Callback) -> StatusReport | Inbound:
        """Parse a callback or inbound message. Never raises for any body."""
        form = reports.fields(callback.body)
        received = inbound.parsed(form, callback)
        if received is None:
            return reports.from_callback(form, callback)._replace(provider=SANDBOX)
        # The attempt leads to the client of the test key, even if another client owns the sender.
        attempt_id = as_uuid(callback.attempt)
        return received._replace(provider=SANDBOX, reply_to_attempt=attempt_id)

    def inbound_answer(self) -> InboundAnswer:
        """Return the answer of Twilio; inbound messages do not arrive over the network."""
        return inbound.ANSWER

    def explain(self, error_code: str) -> ErrorFact:
        """Explain an error code."""
        return errors.explain(error_code)

    def non_personal_fields(self) -> Collection[str]:
        """Return the payload fields that redaction keeps."""
        return reports.NON_PERSONAL_FIELDS

    def can_schedule(self, messaging_service_sid: str | None, seconds_ahead: float) -> bool:
        """Return False: Waybill holds test messages until their send time."""
        return False


def _sid(to: str, attempt_id: UUID) -> str:
    """Return a message id that contains the magic number.

    Other numbers may belong to a person and become 0: all of them are delivered.
    """
    number = to.rpartition(":")[2]
    return f"{_SID_PREFIX}-{number[1:] if number in RECIPIENTS else 0}-{attempt_id.hex}"


def _number(sid: str, attempt_id: UUID) -> str:
    kind, _, rest = sid.partition("-")
    digits, _, attempt = rest.partition("-")
    if (kind, attempt) != (_SID_PREFIX, attempt_id.hex):
        raise Refused("The requested resource was not found", "20404")
    return f"+{digits}"


def _callback(attempt_id: UUID, form: bytes) -> Callback:
    return Callback(SANDBOX, str(attempt_id), form, datetime.now(UTC))


def _report(
    word: str, source: Source, attempt_id: UUID, sid: str, code: str | None = None
) -> StatusReport:
    error_code = code if word in FAILURES else None
    fields = {"sid": sid, "status": word, "error_code": error_code, "num_segments": "1"}
    report = reports.from_resource(fields, source, attempt_id, datetime.now(UTC))
    return report._replace(provider=SANDBOX)


def _text(outcome: Outcome) -> str:
    return f"Simulated by a magic number: {outcome.code}"


def _raw(outcome: Outcome) -> dict[str, str | None]:
    return {"code": outcome.code, "message": _text(outcome)}
