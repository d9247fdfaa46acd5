"""Read Twilio's list of messages for inbound ones.

https://www.twilio.com/docs/messaging/api/message-resource#read-multiple-message-resources
"""

from collections.abc import Collection
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from service import addresses
from service.domain.account import DEFAULT_ACCOUNT
from service.providers.inbound import Inbound, ListPage, ListQuery
from service.providers.sanitize import as_address, as_sid, storable
from service.providers.twilio import reports
from service.providers.twilio.api import resource
from service.providers.twilio.inbound import as_service

if TYPE_CHECKING:
    from twilio.rest import Client
    from twilio.rest.api.v2010.account.message import MessageInstance

# Messages of a page. 200 take 2 MB at most.
_PAGE_SIZE: Final = 200
_MAX_MEDIA: Final = 100
_INBOUND: Final = "inbound"
_TWILIO: Final = "https://api.twilio.com"


def receiving(senders: Collection[str]) -> Collection[str]:
    """Return the senders that receive: no Messaging Services (their numbers do), no names."""
    return {sender for sender in senders if _receives(sender)}


def read(client: "Client", query: ListQuery) -> ListPage:
    """Return one page. The account of its messages is the default one.

    It is not documented whether Twilio regards the time of `DateSent>` or only its date, so older
    messages are left out here. A page with only older ones is the last: newer ones come first.
    """
    page = (
        client.messages.page(
            to=query.sender, date_sent_after=query.since.astimezone(UTC), page_size=_PAGE_SIZE
        )
        if query.page is None
        else client.messages.get_page(query.page)
    )
    listed = [message for message in page if as_sid(message.sid)]
    times = [_time(message) for message in listed]
    is_last = bool(times) and all(time is not None and time < query.since for time in times)
    messages = [
        _received(message, time)
        for message, time in zip(listed, times, strict=True)
        if message.direction == _INBOUND and (time is None or query.since <= time <= query.until)
    ]
    return ListPage(messages, None if is_last else page.next_page_url)


def media_of(client: "Client", sid: str) -> list[dict[str, str | None]]:
    """Return the links of the media of a message, as its request would have had them."""
    listed = client.messages(sid).media.list(limit=_MAX_MEDIA)
    return [
        {
            "url": storable(_TWILIO + str(item.uri).removesuffix(".json")),
            "content_type": storable(item.content_type or "") or None,
        }
        for item in listed
    ]


def _receives(sender: str) -> bool:
    return addresses.channel_of(sender) != "sms" or sender.removeprefix("+").isdecimal()


def _time(message: "MessageInstance") -> datetime | None:
    """Return when Twilio called our address, or tried to."""
    time = message.date_sent or message.date_created
    return None if time is None or time.tzinfo is None else time.astimezone(UTC)


def _received(message: "MessageInstance", time: datetime | None) -> Inbound:
    raw: dict[str, Any] = {**resource(message), "direction": message.direction}
    return Inbound(
        provider=reports.NAME,
        account=DEFAULT_ACCOUNT,
        provider_sid=as_sid(message.sid) or "",
        from_address=as_address(message.from_ or ""),
        to_address=as_address(message.to or ""),
        received_at=datetime.now(UTC),
        body=storable(message.body or "") or None,
        messaging_service_sid=as_service(message.messaging_service_sid),
        provider_time=time,
        raw={name: value and storable(value) for name, value in raw.items()},
    )
