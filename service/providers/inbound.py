"""Inbound messages, and the lists of them that providers keep, in which missed ones are found."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any, Final, NamedTuple, Protocol
from uuid import UUID

from service.domain.keywords import Keyword

# In place of a sender: the list has all inbound messages of an account.
EVERY_SENDER: Final = "*"


class Inbound(NamedTuple):
    """A message from a person to one of our senders, normalised, with the original payload."""

    provider: str
    account: str
    provider_sid: str
    from_address: str
    to_address: str
    received_at: datetime  # when Waybill got it
    body: str | None = None
    media: Sequence[Mapping[str, str | None]] = ()  # each with url and content_type
    messaging_service_sid: str | None = None
    keyword: Keyword | None = None  # as the provider read it; None if it does not say
    # Our message that it answers, if the provider says so: its SID, or its attempt.
    reply_to_sid: str | None = None
    reply_to_attempt: UUID | None = None
    provider_time: datetime | None = None
    raw: Mapping[str, Any] = {}


class InboundAnswer(NamedTuple):
    """The answer that a provider expects to an inbound message."""

    status: int
    content_type: str | None
    body: bytes


class ListQuery(NamedTuple):
    """Which inbound messages to list, by the provider's time."""

    sender: str  # one of our numbers, or EVERY_SENDER
    since: datetime
    until: datetime
    page: str | None = None  # the `next` of the page before


class ListPage(NamedTuple):
    """A page of a list; without `next` it is the last one."""

    messages: Sequence[Inbound]
    next: str | None = None


class InboundLists(Protocol):
    """The lists of one account. Calls raise ProviderError."""

    def listed_by(self, senders: Collection[str]) -> Collection[str]:
        """Return the senders to list by: of these and of the settings those that receive."""

    def list_inbound(self, query: ListQuery) -> ListPage:
        """Return one page of inbound messages between two times, newest first."""

    def with_media(self, received: Inbound) -> Inbound:
        """Return a listed message with the links of its media, which lists may leave out."""
