"""Call Twilio's Messages API, and classify errors by what may have happened to the message.

Source: https://www.twilio.com/docs/messaging/api/message-resource, error classes from
`errors.csv`, https://www.twilio.com/docs/errors/20429 and https://www.twilio.com/docs/errors/20500.
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

from service.errors import Blocked, NoRoute, NotAccepted, OutcomeUnknown, ProviderError, Refused
from service.providers.http import ApiResponse, Server, json_object, with_query
from service.providers.sanitize import LONG, as_sid, clip
from service.providers.twilio.errors import explain

if TYPE_CHECKING:  # importing it takes 7 MB, and web servers do not call the API
    from twilio.rest.api.v2010.account.message import MessageInstance

_TWILIO = "https://api.twilio.com"
_MESSAGES = "/Messages.json"  # the end of the URL that sends; all others name a message
# 429 is documented as never processed. 401 without a code of `errors.csv` means that some
# credentials are wrong, and nothing was sent. 407 comes from a proxy that forwarded nothing.
_NOT_ACCEPTED = frozenset({401, 407, 429})
# About the account when we send. About the message when we fetch or cancel one.
_NO_SUCH_RESOURCE = "20404"
_FIELDS = (
    *("sid", "status", "error_code", "error_message", "num_segments", "num_media", "price"),
    *("price_unit", "messaging_service_sid", "date_created", "date_updated", "date_sent"),
)
_DATES = frozenset({"date_created", "date_updated", "date_sent"})


class Http(HttpClient):
    """The HTTP client of the Twilio library, with time-outs and a configurable address.

    The library's own client has no time-out and one fixed address, and threads that share it
    overwrite each other's answers in an attribute (twilio 9.13.0).
    """

    def __init__(self, base_url: str, connect: float, read: float, connections: int) -> None:
        super().__init__(logging.getLogger(__name__), is_async=False)  # it logs nothing
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
        """Send the request to the configured address. Raises ProviderError unless it gets a 2xx.

        This classifies by the status line: the library uses the status in an error body.
        """
        url = with_query(uri.replace(_TWILIO, self._base_url, 1), params)
        authorization = make_headers(basic_auth=":".join(auth)) if auth else {}
        body = urlencode(data, doseq=True).encode() if data else None
        answer = self._server.request(method, url, {**(headers or {}), **authorization}, body)
        if not 200 <= answer.status < 300:
            raise _provider_error(answer, sends=method == "POST" and uri.endswith(_MESSAGES))
        return Response(answer.status, _without_bad_dates(answer.text))


def resource(message: "MessageInstance") -> dict[str, Any]:
    """Return the fields of a message that we store; we have its text and numbers already."""
    fields = {name: getattr(message, name) for name in _FIELDS}
    texts = {name: value if value is None else str(value) for name, value in fields.items()}
    return {**texts, "sid": as_sid(message.sid)}


def _without_bad_dates(text: str) -> str:
    """Return an answer without dates that the library cannot parse.

    It raises for such a date (twilio 9.13.0), and the SID would be lost.
    """
    body = json_object(text)
    listed = body.get("messages")
    bad = [
        (message, name)
        for message in [body, *(listed if isinstance(listed, list) else ())]
        for name in _DATES.intersection(message if isinstance(message, dict) else ())
        if not _is_date(message[name])
    ]
    for message, name in bad:
        message[name] = None
    return json.dumps(body) if bad else text


def _is_date(value: object) -> bool:
    try:
        return value is None or bool(parsedate_to_datetime(str(value)))
    except ValueError:
        return False


def _provider_error(answer: ApiResponse, sends: bool) -> ProviderError:
    """Return the error of an answer. Outside of a 4xx the message may have been sent."""
    status, body = answer.status, json_object(answer.text)
    code, message = body.get("code"), clip(body.get("message") or body.get("detail"), LONG) or ""
    # Twilio's codes have five digits. Without one a proxy may have answered, and Twilio may still
    # have received the request.
    error_code = str(code) if isinstance(code, int) and 10_000 <= code <= 99_999 else None
    raw: Mapping[str, Any] = {"status": status, "code": error_code, "message": message}
    facts = message or f"HTTP {status}", error_code, raw
    if not 400 <= status < 500 or (error_code is None and status not in _NOT_ACCEPTED):
        return OutcomeUnknown(*facts)
    if error_code == _NO_SUCH_RESOURCE and not sends:
        return Refused(*facts)
    fact = explain(error_code or "")
    if fact.blocks is not None and sends:
        return Blocked(*facts, scope=fact.blocks)
    if status in _NOT_ACCEPTED or fact.blocks is not None or fact.retryable:
        return NotAccepted(*facts, answer.retry_after)
    return NoRoute(*facts) if fact.no_route else Refused(*facts)
