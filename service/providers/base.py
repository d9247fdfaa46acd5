"""What Waybill asks of a provider, and the values that pass between them."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple, Protocol
from uuid import UUID

from service.domain.report import StatusReport
from service.errors import ErrorFact


@dataclass(frozen=True, slots=True)
class Outbound:
    """One message as handed to a provider, under the id of one attempt."""

    attempt_id: UUID
    attempt: int
    to: str
    sender: str | None
    messaging_service_sid: str | None
    body: str | None
    media_urls: list[str] | None
    content_sid: str | None
    content_variables: dict[str, str] | None
    send_at: datetime | None
    validity_period: int | None
    smart_encoding: bool = False


@dataclass(frozen=True, slots=True)
class LookUpQuery:
    """What is known of a send whose answer was lost."""

    attempt_id: UUID
    to: str
    sender: str | None
    messaging_service_sid: str | None
    body: str | None
    since: datetime
    until: datetime
    media_urls: Collection[str] = ()
    content_sid: str | None = None  # the text is then the provider's, and not known to us
    texts_of_others: Collection[str] = ()  # to the same recipient, of messages without a SID


class Sender(NamedTuple):
    """Who sends: an address, or a service that picks one."""

    address: str | None = None
    messaging_service_sid: str | None = None


class CallbackRequest(NamedTuple):
    """A callback as it came over the wire. `path` and `query` are raw, never decoded."""

    path: str
    query: str
    headers: Mapping[str, str]  # names in lower case
    body: bytes


class Callback(NamedTuple):
    """An accepted callback: verified, not yet understood."""

    provider: str
    attempt: str  # the last part of the path, or "" where there was none
    body: bytes
    received_at: datetime


class RefusalAdvice(NamedTuple):
    """What a setting has to do with refused callbacks: what is wrong, and what to do."""

    fault: str
    remedy: str


class Provider(Protocol):
    """One carrier. Raises `errors.ProviderError` by what may have happened to the message."""

    @property
    def name(self) -> str:
        """Return the name by which messages and paths refer to this provider."""

    def owns(self, sender: Sender) -> bool:
        """Tell whether only this provider has that sender, as far as the settings tell."""

    def default_sender(self) -> Sender | None:
        """Return who sends a message that names nobody; None where the settings do not say."""

    def unsupported_fields(self, to: str, fields: Collection[str]) -> list[str]:
        """Return which of these fields of a message, or `to`, this provider has no place for."""

    def send(self, outbound: Outbound) -> StatusReport:
        """Hand one message over. Raises Refused, NotAccepted or OutcomeUnknown."""

    def cancel(self, attempt_id: UUID, provider_sid: str) -> StatusReport:
        """Stop a scheduled message. Raises Refused when it is too late, or as `send` does."""

    def fetch(self, attempt_id: UUID, provider_sid: str) -> StatusReport:
        """Ask where a message is. Raises Refused when it is not known, or as `send` does."""

    def find(self, wanted: LookUpQuery) -> list[StatusReport]:
        """Return every message that may be the wanted one. Raises as `send` does.

        One that certainly is, and not only looks like it, bears the attempt's id.
        """

    def confirm(self, sought: LookUpQuery, provider_sid: str) -> StatusReport:
        """Return what `fetch` does about a SID that a person says is the wanted message's.

        Raises Refused when it is not known or is another message's, naming what differs, or as
        `send` does.
        """

    def verify(self, request: CallbackRequest) -> None:
        """Return when the provider signed this request. Raises Forged otherwise."""

    def refusal_advice(self) -> Mapping[str, RefusalAdvice]:
        """Return what to do about the reasons of `Forged` that a wrong setting causes.

        A reason that any stranger causes is not among them.
        """

    def parse(self, callback: Callback) -> StatusReport:
        """Put a verified callback into our words; never raises for what the body holds."""

    def explain(self, error_code: str) -> ErrorFact:
        """Say what an error code means."""

    def non_personal_fields(self) -> Collection[str]:
        """Return which fields of a raw payload hold no text, number or name: redaction keeps them.

        Status, codes, times, counts, prices and ids.
        """

    def can_schedule(self, messaging_service_sid: str | None, seconds_ahead: float) -> bool:
        """Tell whether the provider itself would hold a message until its time."""
