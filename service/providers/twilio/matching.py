"""Whether a message that Twilio has may be the one whose answer was lost: all that can be compared.

Twilio keeps no reference of ours, so that only its fields tell.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

from service.providers.contract import Wanted
from service.providers.storable import same_address

if TYPE_CHECKING:
    from twilio.rest.api.v2010.account.message import MessageInstance

# A trial account puts words of its own before ours.
_TRIAL: Final = "Sent from your Twilio trial account - "
_OURS: Final = "outbound-api"


def alike(message: "MessageInstance", wanted: Wanted) -> bool:
    """Tell whether a listed message may be the wanted one.

    It must say when it was made and, where we sent a text, hold one.
    """
    if message.date_created is None or (wanted.body and not message.body):
        return False
    return not any(differences(message, wanted))


def differences(message: "MessageInstance", wanted: Wanted) -> Iterator[str]:
    """Yield the names of the fields that differ. What Twilio does not say is no difference."""
    if message.direction not in (None, _OURS):
        yield "direction"
    if not message.to or not same_address(message.to, wanted.to):
        yield "recipient"
    if not _sender_fits(message, wanted):
        yield "sender"
    if message.body and not _text_fits(message.body.removeprefix(_TRIAL), wanted):
        yield "text"
    if not _media_fit(message, wanted):
        yield "media"
    created = message.date_created
    if created is not None and not wanted.since <= created <= wanted.until:
        yield "time"


def _sender_fits(message: "MessageInstance", wanted: Wanted) -> bool:
    if wanted.messaging_service_sid not in (None, message.messaging_service_sid):
        return False
    if wanted.sender is None:
        return True
    if not message.from_:  # a service has not picked one yet
        return wanted.messaging_service_sid is not None
    return same_address(message.from_, wanted.sender)


def _media_fit(message: "MessageInstance", wanted: Wanted) -> bool:
    if wanted.content_sid is not None or message.num_media is None:
        return True
    return str(message.num_media) == str(len(wanted.media_urls))


def _text_fits(text: str, wanted: Wanted) -> bool:
    """Compare the text with ours; that of a template is Twilio's, but never another message's."""
    if wanted.content_sid is not None:
        return text not in wanted.texts_of_others
    return text == (wanted.body or "")
