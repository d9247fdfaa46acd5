"""Make calls to a provider's API: each once, with time-outs, and with an exact outcome."""

import json
import logging
from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple, TypeVar
from urllib.parse import urlencode

from urllib3.exceptions import HTTPError, InvalidHeader
from urllib3.util import Retry, Timeout

from service.errors import NotAccepted, OutcomeUnknown, ProviderError
from service.providers.connections import MAX_IDLE, Connections, RequestNotSent

_T = TypeVar("_T")
_HEADERS: Final = {"Accept-Encoding": "gzip, deflate", "User-Agent": "waybill"}
# A list of 200 Twilio messages, the longest answer that we ask for, takes 2 MB at most.
_MAX_ANSWER: Final = 8_000_000


class ApiResponse(NamedTuple):
    """An HTTP response."""

    status: int
    text: str
    retry_after: float | None = None  # seconds, from the header Retry-After


class Server:
    """The HTTP server of a provider.

    urllib3 is used directly: a `requests.Session` takes 0.25 ms more of a call, and a worker sends
    720 messages a second.
    """

    def __init__(
        self,
        address: str,
        connect: float,
        read: float,
        connections: int,
        max_idle: float = MAX_IDLE,
    ) -> None:
        """Take time-outs in seconds, the number of connections kept, and their idle limit."""
        self._timeout = Timeout(connect=connect, read=read)
        self._connections = Connections(address, connections, max_idle)
        # At DEBUG this logger writes URLs, which contain phone numbers.
        logging.getLogger("urllib3.connectionpool").setLevel(logging.INFO)

    def request(
        self, method: str, url: str, headers: Mapping[str, str], body: bytes | None = None
    ) -> ApiResponse:
        """Send one request, following no redirect.

        Raises RequestNotSent, or urllib3.HTTPError when the request may have arrived.
        """
        response = self._connections.send(
            method, url, headers={**_HEADERS, **headers}, body=body, timeout=self._timeout
        )
        content = response.read(_MAX_ANSWER + 1)
        if len(content) > _MAX_ANSWER:
            response.close()
            raise ValueError("the answer is too long")
        text = content.decode(errors="replace")
        return ApiResponse(response.status, text, retry_after(response.headers.get("Retry-After")))


def with_query(url: str, query: Mapping[str, Any] | None) -> str:
    """Return a URL with these query parameters, without those that are None."""
    fields = {name: value for name, value in (query or {}).items() if value is not None}
    return f"{url}?{urlencode(fields, doseq=True)}" if fields else url


def call(request: Callable[[], _T]) -> _T:
    """Run one API call. Raises Refused, NotAccepted or OutcomeUnknown."""
    try:
        return request()
    except ProviderError:
        raise
    except RequestNotSent as error:
        raise NotAccepted(f"the request was not sent ({error})") from error
    except HTTPError as error:
        reason = type(error).__name__
        raise OutcomeUnknown(f"no answer ({reason})") from error
    except Exception as error:
        # The request was sent, but its answer made a library fail.
        raise OutcomeUnknown(f"no usable answer ({type(error).__name__})") from error


def json_object(text: str) -> dict[str, Any]:
    """Return the JSON object in a text, or an empty one."""
    try:
        body = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    return body if isinstance(body, dict) else {}


def retry_after(header: str | None) -> float | None:
    """Return the seconds that a `Retry-After` names, as a number or as a date."""
    if header is None:
        return None
    try:
        return float(Retry().parse_retry_after(header))
    except (InvalidHeader, ValueError, TypeError, OverflowError):
        return None
