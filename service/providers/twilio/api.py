"""Twilio's Messages API: what may have happened to a message, call by call.

Source: https://www.twilio.com/docs/messaging/api/message-resource, error classes from
https://www.twilio.com/docs/errors/20429 and https://www.twilio.com/docs/errors/20500.
"""

import json
import logging
from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from twilio.http import HttpClient
from twilio.http.response import Response
from urllib3.util import make_headers

from service.errors import NotAccepted, OutcomeUnknown, ProviderError, Refused
from service.providers.http import ApiResponse, Server, json_object, with_query
from service.providers.sanitize import LONG, as_sid, clip

if TYPE_CHECKING:  # the library's half of the API takes 7 MB, and web servers do not call it
    from twilio.rest.api.v2010.account.message import MessageInstance

_TWILIO = "https://api.twilio.com"
# 429 is documented as never processed. 401 means that our own token is wrong: nothing was sent,
# and a token can be mended while the message waits. 407 is a proxy that forwarded nothing.
_WITHOUT_EFFECT = frozenset({401, 407, 429})
_FIELDS = (
    *("sid", "status", "error_code", "error_message", "num_segments", "num_media", "price"),
    *("price_unit", "messaging_service_sid", "date_created", "date_updated", "date_sent"),
)
_DATES = frozenset({"date_created", "date_updated", "date_sent"})


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
        answer = self._server.request(method, address, {**(headers or {}), **proof}, body)
        if not 200 <= answer.status < 300:
            raise _provider_error(answer)
        return Response(answer.status, _without_bad_dates(answer.text))


def resource(message: "MessageInstance") -> dict[str, Any]:
    """Return what the answer says of the message; not its text and numbers, which we have."""
    fields = {name: getattr(message, name) for name in _FIELDS}
    texts = {name: value if value is None else str(value) for name, value in fields.items()}
    return {**texts, "sid": as_sid(message.sid)}


def _without_bad_dates(text: str) -> str:
    """Return an answer without the dates that the library cannot read.

    It raises for one of them (twilio 9.13.0), and the SID beside it would be lost.
    """
    body = json_object(text)
    listed = body.get("messages")
    odd = [
        (message, name)
        for message in [body, *(listed if isinstance(listed, list) else ())]
        for name in _DATES.intersection(message if isinstance(message, dict) else ())
        if not _is_date(message[name])
    ]
    for message, name in odd:
        message[name] = None
    return json.dumps(body) if odd else text


def _is_date(value: object) -> bool:
    try:
        return value is None or bool(parsedate_to_datetime(str(value)))
    except ValueError:
        return False


def _provider_error(answer: ApiResponse) -> ProviderError:
    status, body = answer.status, json_object(answer.text)
    code, message = body.get("code"), clip(body.get("message") or body.get("detail"), LONG) or ""
    # Twilio's codes have five digits. Without one it was not Twilio that answered, and who knows
    # what was passed on to it.
    known = str(code) if isinstance(code, int) and 10_000 <= code <= 99_999 else None
    raw: Mapping[str, Any] = {"status": status, "code": known, "message": message}
    if status in _WITHOUT_EFFECT:
        return NotAccepted(message or f"HTTP {status}", known, raw, answer.retry_after)
    if 400 <= status < 500 and known is not None:
        return Refused(message, known, raw)
    return OutcomeUnknown(message or f"HTTP {status}", known, raw)
