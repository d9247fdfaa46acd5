"""Compare Twilio's messages with a send whose answer was lost.

Twilio does not store our attempt id, so this compares all available fields.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

from service.providers.base import LookUpQuery
from service.providers.sanitize import same_address

if TYPE_CHECKING:
    from twilio.rest.api.v2010.account.message import MessageInstance

# A trial account puts this before every text.
_TRIAL_PREFIX: Final = "Sent from your Twilio trial account - "
_DIRECTION: Final = "outbound-api"


def matches(message: "MessageInstance", query: LookUpQuery) -> bool:
    """Return whether a listed message may be the one of the query.

    It needs a creation date and, if we sent a text, a text.
    """
    if message.date_created is None or (query.body and not message.body):
        return False
    return not any(differences(message, query))


def differences(message: "MessageInstance", query: LookUpQuery) -> Iterator[str]:
    """Yield the names of the fields that differ, ignoring fields without a value at Twilio."""
    if message.direction not in (None, _DIRECTION):
        yield "direction"
    if not message.to or not same_address(message.to, query.to):
        yield "recipient"
    if not _sender_fits(message, query):
        yield "sender"
    if message.body and not _text_fits(message.body.removeprefix(_TRIAL_PREFIX), query):
        yield "text"
    if not _media_fit(message, query):
        yield "media"
    created = message.date_created
    if created is not None and not query.since <= created <= query.until:
        yield "time"


def _sender_fits(message: "MessageInstance", query: LookUpQuery) -> bool:
    if query.messaging_service_sid not in (None, message.messaging_service_sid):
        return False
    if query.sender is None:
        return True
    if not message.from_:  # a service has not picked one yet
        return query.messaging_service_sid is not None
    return same_address(message.from_, query.sender)


def _media_fit(message: "MessageInstance", query: LookUpQuery) -> bool:
    if query.content_sid is not None or message.num_media is None:
        return True
    return str(message.num_media) == str(len(query.media_urls))


def _text_fits(text: str, query: LookUpQuery) -> bool:
    """Compare texts. With a template we do not know ours, but it is not that of another message."""
    if query.content_sid is not None:
        return text not in query.texts_of_others
    return text == (query.body or "")
