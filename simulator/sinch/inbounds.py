"""Inbound messages as Sinch sends and lists them.

https://developers.sinch.com/docs/sms/api-reference/sms/tag/Inbounds/
"""

import mimetypes

from simulator.inbound.message import InboundMessage
from simulator.sinch.reports import iso


def to_inbound(message: InboundMessage) -> dict[str, object]:
    """Return the JSON of an inbound message. Numbers have no plus."""
    text = message.text
    reference = text.answered_reference
    return {
        "type": "mo_media" if text.media else "mo_text",
        "id": message.sid,
        "from": text.sender.removeprefix("+"),
        "to": text.to.removeprefix("+"),
        "body": _media_body(message) if text.media else text.body,
        "received_at": iso(message.received_at),
        **({"client_reference": reference} if reference else {}),
        **text.fields,
    }


def _media_body(message: InboundMessage) -> dict[str, object]:
    return {
        "message": message.text.body,
        "media": [
            {
                "url": url,
                "content_type": mimetypes.guess_type(url)[0] or "image/jpeg",
                "status": "Uploaded",
                "code": 0,
            }
            for url in message.text.media
        ],
    }
