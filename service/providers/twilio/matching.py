"""Whether a message that Twilio has may be the one whose answer was lost.

Twilio keeps no reference of ours, so that all fields are compared that can be.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

from service.providers.base import LookUpQuery
from service.providers.sanitize import same_address

if TYPE_CHECKING:
    from twilio.rest.api.v2010.account.message import MessageInstance

# A trial account puts this before every text.
_TRIAL: Final = "Sent from your Twilio trial account - "
_OURS: Final = "outbound-api"


def alike(message: "MessageInstance", sought: LookUpQuery) -> bool:
    """Tell whether a listed message may be the one sought.

    It must say when it was made and, where we sent a text, hold one.
    """
    if message.date_created is None or (sought.body and not message.body):
        return False
    return not any(differences(message, sought))


def differences(message: "MessageInstance", sought: LookUpQuery) -> Iterator[str]:
    """Yield the names of the fields that differ. What Twilio does not say is no difference."""
    if message.direction not in (None, _OURS):
        yield "direction"
    if not message.to or not same_address(message.to, sought.to):
        yield "recipient"
    if not _sender_fits(message, sought):
        yield "sender"
    if message.body and not _text_fits(message.body.removeprefix(_TRIAL), sought):
        yield "text"
    if not _media_fit(message, sought):
        yield "media"
    created = message.date_created
    if created is not None and not sought.since <= created <= sought.until:
        yield "time"


def _sender_fits(message: "MessageInstance", sought: LookUpQuery) -> bool:
    if sought.messaging_service_sid not in (None, message.messaging_service_sid):
        return False
    if sought.sender is None:
        return True
    if not message.from_:  # a service has not picked one yet
        return sought.messaging_service_sid is not None
    return same_address(message.from_, sought.sender)


def _media_fit(message: "MessageInstance", sought: LookUpQuery) -> bool:
    if sought.content_sid is not None or message.num_media is None:
        return True
    return str(message.num_media) == str(len(sought.media_urls))


def _text_fits(text: str, sought: LookUpQuery) -> bool:
    """Compare the text with ours; that of a template is Twilio's, but never another message's."""
    if sought.content_sid is not None:
        return text not in sought.texts_of_others
    return text == (sought.body or "")
