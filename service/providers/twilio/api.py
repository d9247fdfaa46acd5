"""Twilio's Messages API: what may have happened to a message, call by call.

Source: https://www.twilio.com/docs/messaging/api/message-resource, error classes from
https://www.twilio.com/docs/errors/20429 and https://www.twilio.com/docs/errors/20500.
"""

import logging
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from twilio.http import HttpClient
from twilio.http.response import Response
from urllib3.util import make_headers

from service.errors import NotAccepted, OutcomeUnknown, ProviderError, Refused
from service.providers.contract import Wanted
from service.providers.http import Server, json_object, with_query
from service.providers.storable import LONG, clip

if TYPE_CHECKING:  # the library's half of the API takes 7 MB, and web servers do not call it
    from twilio.rest.api.v2010.account.message import MessageInstance

_TWILIO = "https://api.twilio.com"
# 429 is documented as never processed. 401 means that our own token is wrong: nothing was sent,
# and a token can be mended while the message waits.
_WITHOUT_EFFECT = frozenset({401, 429})
_FIELDS = (
    *("sid", "status", "error_code", "error_message", "num_segments", "num_media", "price"),
    *("price_unit", "messaging_service_sid", "date_created", "date_updated", "date_sent"),
)
_TRIAL = "Sent from your Twilio trial account - "


class Http(HttpClient):
    """How the library reaches Twilio: with both timeouts explicit, at an address of our choice.

    Its own client waits for ever and knows no other address, and threads that share it pass their
    answers to each other through one attribute (twilio 9.13.0).
    """

    def __init__(self, base_url: str, connect: float, read: float, connections: int) -> None:
        super().__init__(logging.getLogger(__name__), is_async=False)  # which is told nothing
        self._base_url = base_url
        self._server = Server(base_url, connect, read, connections)

    def request(
        self,
        method: str,
        uri: str,
        params: dict[str, object] | None = None,
        data: dict[str, object] | None = None,
        headers: dict[str, str] | None = None,
        auth: tuple[str, str] | None = None,
        timeout: float | None = None,  # noqa: ARG002
        allow_redirects: bool = False,  # noqa: ARG002
    ) -> Response:
        """Send the request to the configured address. Raises ProviderError for any but a 2xx.

        Classed here, by the status line: the library believes the status in a problem body.
        """
        address = with_query(uri.replace(_TWILIO, self._base_url, 1), params)
        proof = make_headers(basic_auth=":".join(auth)) if auth else {}
        body = urlencode(data, doseq=True).encode() if data else None  # messages know forms only
        answer = self._server.ask(method, address, {**(headers or {}), **proof}, body)
        if not 200 <= answer.status < 300:
            raise _classed(answer.status, answer.text)
        return Response(answer.status, answer.text)


def resource(message: "MessageInstance") -> dict[str, Any]:
    """Return what the answer says of the message; not its text and numbers, which we have."""
    fields = {name: getattr(message, name) for name in _FIELDS}
    return {name: value if value is None else str(value) for name, value in fields.items()}


def alike(message: "MessageInstance", wanted: Wanted) -> bool:
    """Tell whether a listed message may be the wanted one: same words, same sender, same time."""
    created = message.date_created
    if created is None or not wanted.since <= created <= wanted.until:
        return False
    if wanted.messaging_service_sid not in (None, message.messaging_service_sid):
        return False
    # A service chooses the sender, and a trial account puts words of its own before ours.
    sender_fits = wanted.sender is None or message.from_ in (None, wanted.sender)
    body_fits = wanted.body in (None, (message.body or "").removeprefix(_TRIAL))
    return sender_fits and body_fits and message.direction != "inbound"


def _classed(status: int, text: str) -> ProviderError:
    body = json_object(text)
    code, message = body.get("code"), clip(body.get("message") or body.get("detail"), LONG) or ""
    # Twilio's codes have five digits. Without one it was not Twilio that answered, and who knows
    # what was passed on to it.
    known = str(code) if isinstance(code, int) and 10_000 <= code <= 99_999 else None
    raw: Mapping[str, Any] = {"status": status, "code": known, "message": message}
    if status in _WITHOUT_EFFECT:
        return NotAccepted(message or f"HTTP {status}", known, raw)
    if 400 <= status < 500 and known is not None:
        return Refused(message, known, raw)
    return OutcomeUnknown(message or f"HTTP {status}", known, raw)
