"""A provider without a network that records every send."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from hashlib import sha256
from uuid import UUID

from service.domain.account import DEFAULT_ACCOUNT
from service.domain.report import Source, StatusReport
from service.errors import ErrorFact, Forged, Refused
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
from service.providers.twilio import errors, inbound, reports

Script = Callable[[Outbound], StatusReport]


def said(
    word: str = "queued",
    *,
    attempt_id: UUID | None = None,
    sid: str | None = None,
    source: Source = Source.API,
    at: datetime | None = None,
    error_code: str | None = None,
    message_id: UUID | None = None,
) -> StatusReport:
    """Return a report with a Twilio status."""
    return StatusReport(
        provider="twilio",
        source=source,
        word=word,
        status=reports.STATUSES.get(word),
        received_at=at or datetime.now(UTC),
        message_id=message_id,
        attempt_id=attempt_id,
        provider_sid=sid,
        error_code=error_code,
        raw={"word": word},
    )


def fake_signature(path: str, body: bytes) -> str:
    return sha256(path.encode(errors="replace") + body).hexdigest()


@dataclass
class FakeProvider:
    """Answers every send with `queued`, or with the result of `script`."""

    name: str = "twilio"
    script: Script | None = None
    answer: Callable[[UUID, str], StatusReport] | None = None  # to a fetch
    listing: Callable[[ListQuery], ListPage] | None = None  # of inbound messages
    on_air: list[Outbound] = field(default_factory=list)
    routes: Collection[str] = ()

    @property
    def accounts(self) -> Mapping[str, Account]:
        return {DEFAULT_ACCOUNT: self}

    def has_service(self, messaging_service_sid: str) -> bool:
        return True

    def owns(self, sender: Sender) -> bool:
        return sender.messaging_service_sid is not None or sender == self.default_sender()

    def default_sender(self) -> Sender:
        return Sender("+15005550006")

    def unsupported_fields(self, to: str, fields: Collection[str]) -> list[str]:
        return []

    def send(self, outbound: Outbound) -> StatusReport:
        if self.script is not None:
            return self.script(outbound)
        return self.take(outbound)

    def take(self, outbound: Outbound) -> StatusReport:
        """Record a send."""
        self.on_air.append(outbound)
        word = "scheduled" if outbound.send_at else "queued"
        return said(word, attempt_id=outbound.attempt_id, sid=self.sid(outbound.attempt_id))

    @staticmethod
    def sid(attempt_id: UUID) -> str:
        return f"SM{attempt_id.hex}"

    def cancel(self, attempt_id: UUID, provider_sid: str) -> StatusReport:
        return said("canceled", attempt_id=attempt_id, sid=provider_sid)

    def fetch(self, attempt_id: UUID, provider_sid: str) -> StatusReport:
        if self.answer is None:
            raise Refused("no such message", "20404")
        return self.answer(attempt_id, provider_sid)

    def find(self, query: LookUpQuery) -> list[StatusReport]:
        return [
            said("sent", sid=self.sid(outbound.attempt_id), source=Source.RECONCILIATION)
            for outbound in self.on_air
            if (outbound.to, outbound.body) == (query.to, query.body)
        ]

    def confirm(self, sought: LookUpQuery, provider_sid: str) -> StatusReport:
        for outbound in self.on_air:
            if self.sid(outbound.attempt_id) == provider_sid and outbound.to != sought.to:
                raise Refused(f"{provider_sid} is another message: different recipient")
        return self.fetch(sought.attempt_id, provider_sid)

    def listed_by(self, senders: Collection[str]) -> Collection[str]:
        return {"+15005550006", *senders} if self.listing else ()

    def list_inbound(self, query: ListQuery) -> ListPage:
        return self.listing(query) if self.listing else ListPage(())

    def with_media(self, received: Inbound) -> Inbound:
        return received

    def verify(self, request: CallbackRequest) -> None:
        if request.headers.get("x-fake-signature") != fake_signature(request.path, request.body):
            raise Forged("mismatch")

    def refusal_advice(self) -> Mapping[str, RefusalAdvice]:
        return {"mismatch": RefusalAdvice("the token does not match", "Correct FAKE_TOKEN.")}

    def parse(self, callback: Callback) -> StatusReport | Inbound:
        if callback.body == b"poison":
            raise ZeroDivisionError("poison")
        form = reports.fields(callback.body)
        return inbound.parsed(form, callback) or reports.from_callback(form, callback)

    def inbound_answer(self) -> InboundAnswer:
        return inbound.ANSWER

    def explain(self, error_code: str) -> ErrorFact:
        opted_out = error_code == "21610"
        blocks = errors.explain(error_code).blocks
        text = f"Explained: {error_code}."
        return ErrorFact(text, retryable=False, opted_out=opted_out, blocks=blocks)

    def non_personal_fields(self) -> Collection[str]:
        return {*reports.NON_PERSONAL_FIELDS, "word"}

    def can_schedule(self, messaging_service_sid: str | None, seconds_ahead: float) -> bool:
        return messaging_service_sid is not None and 300 <= seconds_ahead <= 35 * 86_400
