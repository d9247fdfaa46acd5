"""The provider of test keys: nothing leaves, and the number dialled decides what happens.

``numbers`` which number provokes what. What Twilio would answer, say and call back, this answers,
says and calls back, in Twilio's words; only the network between is missing. It keeps no books: the
outcome is in the number, how often it was tried in the attempt, and both in the id it gives.
"""

from collections.abc import Callable, Collection, Mapping
from datetime import UTC, datetime
from typing import Final
from urllib.parse import urlencode
from uuid import UUID

from service.domain.report import Source, StatusReport
from service.errors import ErrorFact, Forged, NotAccepted, OutcomeUnknown, Refused
from service.providers.base import (
    Callback,
    CallbackRequest,
    LookUpQuery,
    Outbound,
    RefusalAdvice,
    Sender,
)
from service.providers.sandbox.numbers import RECIPIENTS, Answer, Outcome, outcome_of
from service.providers.twilio import errors, reports

SANDBOX: Final = "sandbox"
# Its message ids kept the prefix of the earlier name `test`, so that older messages are found.
_SID_PREFIX: Final = "test"
_SENDER: Final = "+15005550006"
_FAILURES: Final = ("failed", "undelivered")


class Sandbox:
    """A carrier that exists in this process only."""

    name: Final = SANDBOX

    def __init__(self, call_back: Callable[[Callback], None]) -> None:
        """Use `call_back` to store a callback as if it had come, and had been verified."""
        self._call_back = call_back

    def owns(self, sender: Sender) -> bool:
        """Return False: it is chosen by the key, not by the sender."""
        return False

    def default_sender(self) -> Sender:
        """Return the sender of messages that name none."""
        return Sender(_SENDER)

    def unsupported_fields(self, to: str, fields: Collection[str]) -> list[str]:
        """Return nothing: it carries whatever the provider behind the live key would."""
        return []

    def send(self, outbound: Outbound) -> StatusReport:
        """Do what the number stands for. Raises Refused, NotAccepted or OutcomeUnknown."""
        outcome = outcome_of(outbound.to, outbound.sender)
        answer = outcome.answer_to(outbound.attempt)
        if answer is Answer.REFUSED:
            raise Refused(_text(outcome), outcome.code, _raw(outcome))
        if answer is Answer.NOT_ACCEPTED:
            raise NotAccepted(_text(outcome), outcome.code, _raw(outcome))
        if answer is Answer.LOST:
            raise OutcomeUnknown("no answer, as this number wants it")
        sid = _sid(outbound.to, outbound.attempt_id)
        # Before the answer, as may happen with a real carrier: no order is promised.
        for word in outcome.callbacks:
            self._call_back(_callback(outbound.attempt_id, sid, word, outcome.code))
        return _report("queued", Source.API, outbound.attempt_id, sid)

    def cancel(self, attempt_id: UUID, provider_sid: str) -> StatusReport:
        """Raise Refused: it holds nothing, so that there is nothing to stop."""
        raise Refused("This message cannot be canceled", "30409")

    def fetch(self, attempt_id: UUID, provider_sid: str) -> StatusReport:
        """Say where a message is by now. Raises Refused for an id that is none of ours."""
        outcome = outcome_of(_number(provider_sid, attempt_id))
        return _report(outcome.ends, Source.RECONCILIATION, attempt_id, provider_sid, outcome.code)

    def find(self, wanted: LookUpQuery) -> list[StatusReport]:
        """Return the wanted message, if this number lets it be found."""
        outcome = outcome_of(wanted.to, wanted.sender)
        if not outcome.is_found:
            return []
        sid = _sid(wanted.to, wanted.attempt_id)
        return [_report(outcome.ends, Source.RECONCILIATION, wanted.attempt_id, sid)]

    def confirm(self, sought: LookUpQuery, provider_sid: str) -> StatusReport:
        """Say where a message is by now. Raises Refused for any id but the wanted message's."""
        if provider_sid != _sid(sought.to, sought.attempt_id):
            raise Refused(f"{provider_sid} is another message")
        return self.fetch(sought.attempt_id, provider_sid)

    def verify(self, request: CallbackRequest) -> None:
        """Raise Forged, always: its callbacks do not come over the network."""
        raise Forged("not_over_the_network")

    def refusal_advice(self) -> Mapping[str, RefusalAdvice]:
        """Return nothing: no setting is at fault."""
        return {}

    def parse(self, callback: Callback) -> StatusReport:
        """Put a callback into our words; never raises for what the body holds."""
        return reports.from_callback(callback)._replace(provider=SANDBOX)

    def explain(self, error_code: str) -> ErrorFact:
        """Say what an error code means."""
        return errors.explain(error_code)

    def non_personal_fields(self) -> Collection[str]:
        """Return which fields of a raw payload redaction keeps."""
        return reports.NON_PERSONAL_FIELDS

    def can_schedule(self, messaging_service_sid: str | None, seconds_ahead: float) -> bool:
        """Return False: Waybill itself holds a test message until its time."""
        return False


def _sid(to: str, attempt_id: UUID) -> str:
    """Return an id that names the magic number: this provider stores nothing.

    Any other number may belong to a person, and gets 0: messages to all of them are delivered.
    """
    number = to.rpartition(":")[2]
    return f"{_SID_PREFIX}-{number[1:] if number in RECIPIENTS else 0}-{attempt_id.hex}"


def _number(sid: str, attempt_id: UUID) -> str:
    kind, _, rest = sid.partition("-")
    digits, _, attempt = rest.partition("-")
    if (kind, attempt) != (_SID_PREFIX, attempt_id.hex):
        raise Refused("The requested resource was not found", "20404")
    return f"+{digits}"


def _callback(attempt_id: UUID, sid: str, word: str, code: str | None) -> Callback:
    form = {"MessageSid": sid, "MessageStatus": word}
    if code is not None and word in _FAILURES:
        form["ErrorCode"] = code
    return Callback(SANDBOX, str(attempt_id), urlencode(form).encode(), datetime.now(UTC))


def _report(
    word: str, source: Source, attempt_id: UUID, sid: str, code: str | None = None
) -> StatusReport:
    known = code if word in _FAILURES else None
    said = {"sid": sid, "status": word, "error_code": known, "num_segments": "1"}
    report = reports.from_resource(said, source, attempt_id, datetime.now(UTC))
    return report._replace(provider=SANDBOX)


def _text(outcome: Outcome) -> str:
    return f"Provoked by a magic number: {outcome.code}"


def _raw(outcome: Outcome) -> dict[str, str | None]:
    return {"code": outcome.code, "message": _text(outcome)}
