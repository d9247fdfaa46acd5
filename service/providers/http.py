"""Calls to a provider's API: both timeouts explicit, nothing repeated, every end classed."""

import json
import logging
from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple, TypeVar
from urllib.parse import urlencode

from requests import PreparedRequest, Session, exceptions
from requests.structures import CaseInsensitiveDict
from urllib3.exceptions import InvalidHeader
from urllib3.util import Retry

from service.errors import NotAccepted, OutcomeUnknown, ProviderError
from service.providers.connections import REST, Adapter, RequestNotSent

_T = TypeVar("_T")
# Of every request that does not say otherwise.
_HEADERS: Final = {"Accept-Encoding": "gzip, deflate", "User-Agent": "waybill"}


class Reply(NamedTuple):
    """What a server said."""

    status: int
    text: str
    retry_after: float | None = None  # seconds for which the server wants no request like this


class Server:
    """A provider's server: over kept connections, both timeouts explicit, nothing asked twice."""

    def __init__(
        self, address: str, connect: float, read: float, connections: int, rest: float = REST
    ) -> None:
        """Take timeouts in seconds, how many may ask at once, and how long connections may rest."""
        self._adapter = Adapter(connections, rest)
        # Proxies and certificates of the environment. A session looks for them at every request,
        # and for cookies, redirections and hooks that no API has: a third of a send's cost.
        found: Any = Session().merge_environment_settings(address, {}, None, None, None)
        self._how = {**found, "timeout": (connect, read)}
        # Keep phone numbers out of the logs: the library beneath would write addresses.
        logging.getLogger("urllib3.connectionpool").setLevel(logging.INFO)

    def ask(
        self, method: str, url: str, headers: Mapping[str, str], body: bytes | None = None
    ) -> Reply:
        """Make one request, following no redirection. Raises RequestNotSent, RequestException."""
        request = PreparedRequest()
        request.method, request.url, request.body = method, url, body
        request.headers = CaseInsensitiveDict({**_HEADERS, **headers})
        if method != "GET":
            request.headers["Content-Length"] = str(len(body or b""))
        reply = self._adapter.send(request, **self._how)
        # Read before anybody asks: the rest of it, too, may fail to come.
        text = reply.content.decode(errors="replace")
        return Reply(reply.status_code, text, _retry_after(reply.headers.get("Retry-After")))


def with_query(url: str, query: Mapping[str, Any] | None) -> str:
    """Return an address that asks for these parameters; None is no parameter."""
    given = {name: value for name, value in (query or {}).items() if value is not None}
    return f"{url}?{urlencode(given, doseq=True)}" if given else url


def call(request: Callable[[], _T]) -> _T:
    """Run one API call. Raises Refused, NotAccepted or OutcomeUnknown, and nothing else."""
    try:
        return request()
    except ProviderError:
        raise
    except RequestNotSent as error:
        raise NotAccepted(f"the request was not sent ({error})") from error
    except exceptions.RequestException as error:
        reason = type(error).__name__
        raise OutcomeUnknown(f"no answer ({reason})") from error
    except Exception as error:
        # Whatever an answer did to the library, the request had gone out.
        raise OutcomeUnknown(f"no usable answer ({type(error).__name__})") from error


def json_object(text: str) -> dict[str, Any]:
    """Return the JSON object in an answer; an empty one where there is none."""
    try:
        body = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    return body if isinstance(body, dict) else {}


def _retry_after(header: str | None) -> float | None:
    """Return the seconds that a `Retry-After` names, as a number or as a date; None without one."""
    if header is None:
        return None
    try:
        return float(Retry().parse_retry_after(header))
    except (InvalidHeader, ValueError, TypeError, OverflowError):
        return None
