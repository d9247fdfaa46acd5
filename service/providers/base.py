"""The interface of a provider, and the values that it takes and returns."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple, Protocol
from uuid import UUID

from service.domain.report import StatusReport
from service.errors import ErrorFact
from service.providers.inbound import Inbound as Inbound
from service.providers.inbound import InboundAnswer as InboundAnswer
from service.providers.inbound import InboundLists


@dataclass(frozen=True, slots=True)
class Outbound:
    """One message to send, under the id of one attempt."""

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
    tries: int = 0  # earlier attempts that certainly had no effect


@dataclass(frozen=True, slots=True)
class LookUpQuery:
    """What we know of a send whose answer was lost."""

    attempt_id: UUID
    to: str
    sender: str | None
    messaging_service_sid: str | None
    body: str | None
    since: datetime
    until: datetime
    media_urls: Collection[str] = ()
    content_sid: str | None = None  # with a template we do not know the text
    # Texts of other messages without a SID to the same recipient.
    texts_of_others: Collection[str] = ()


class Sender(NamedTuple):
    """A sender: an address, or a service that picks one."""

    address: str | None = None
    messaging_service_sid: str | None = None

    @property
    def key(self) -> str:
        """Return what rates, holds and opt-outs know a sender by: its service, else its address."""
        return self.messaging_service_sid or self.address or ""


class CallbackRequest(NamedTuple):
    """A callback as received. `path` and `query` are not decoded."""

    path: str
    query: str
    headers: Mapping[str, str]  # names in lower case
    body: bytes


class Callback(NamedTuple):
    """An accepted callback: verified, not yet parsed."""

    provider: str
    attempt: str  # the last segment of the path, or ""
    body: bytes
    received_at: datetime


class RefusalAdvice(NamedTuple):
    """The setting error behind refused callbacks, and how to fix it."""

    fault: str
    remedy: str


class Account(InboundLists, Protocol):
    """One account of a provider. Errors (`errors.ProviderError`) tell what may have happened."""

    @property
    def name(self) -> str:
        """Return the name of this account, distinct among those of its provider."""

    @property
    def routes(self) -> Collection[str]:
        """Return the prefixes of the numbers that use this account; `*` is every number."""

    def owns(self, sender: Sender) -> bool:
        """Return whether the settings assign this sender to this account."""

    def default_sender(self) -> Sender | None:
        """Return the sender of messages that name none, if the settings have one."""

    def send(self, outbound: Outbound) -> StatusReport:
        """Send one message. Raises Refused, NotAccepted, Blocked or OutcomeUnknown."""

    def cancel(self, attempt_id: UUID, provider_sid: str) -> StatusReport:
        """Cancel a scheduled message. Raises Refused when it is too late, or as `send` does."""

    def fetch(self, attempt_id: UUID, provider_sid: str) -> StatusReport:
        """Fetch the status of a message. Raises Refused for an unknown SID, or as `send` does."""

    def find(self, query: LookUpQuery) -> list[StatusReport]:
        """Return a report for each message that matches. Raises as `send` does.

        A report has the attempt id only if the match is certain.
        """

    def confirm(self, query: LookUpQuery, provider_sid: str) -> StatusReport:
        """Fetch the message of a SID that a person entered.

        Raises Refused for an unknown SID or another message, naming the fields that differ, or as
        `send` does.
        """


class Provider(Protocol):
    """A provider: its accounts, and what is the same for all of them."""

    @property
    def name(self) -> str:
        """Return the name of this provider in messages and URLs."""

    @property
    def accounts(self) -> Mapping[str, Account]:
        """Return the accounts by name, that of messages that name none first."""

    def unsupported_fields(self, to: str, fields: Collection[str]) -> list[str]:
        """Return which of these message fields, or `to`, this provider does not support."""

    def has_service(self, messaging_service_sid: str) -> bool:
        """Return whether a Messaging Service with this id can belong to this provider."""

    def can_schedule(self, messaging_service_sid: str | None, seconds_ahead: float) -> bool:
        """Return whether the provider can hold a message until its send time."""

    def verify(self, request: CallbackRequest) -> None:
        """Check that the account in the path signed a callback. Raises Forged."""

    def refusal_advice(self) -> Mapping[str, RefusalAdvice]:
        """Return advice for those reasons of `Forged` that a wrong setting causes."""

    def parse(self, callback: Callback) -> StatusReport | Inbound:
        """Parse a verified callback or inbound message. Never raises for any body."""

    def inbound_answer(self) -> InboundAnswer:
        """Return the answer to an inbound message that is stored. Nothing is said in it."""

    def explain(self, error_code: str) -> ErrorFact:
        """Explain an error code."""

    def non_personal_fields(self) -> Collection[str]:
        """Return the payload fields that redaction keeps.

        They hold status, codes, times, counts, prices and ids; no text, number or name.
        """
