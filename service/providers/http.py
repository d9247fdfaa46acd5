"""Calls to a provider's API: both timeouts explicit, nothing repeated, every end classed."""

import json
import logging
import ssl
from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple, TypeVar
from urllib.parse import urlencode

from requests import PreparedRequest, Session, exceptions
from requests.adapters import HTTPAdapter
from requests.structures import CaseInsensitiveDict
from urllib3.exceptions import ConnectTimeoutError, NewConnectionError

from service.errors import NotAccepted, OutcomeUnknown, ProviderError

_T = TypeVar("_T")
# Of every request that does not say otherwise.
_HEADERS: Final = {"Accept-Encoding": "gzip, deflate", "User-Agent": "waybill"}


class Reply(NamedTuple):
    """What a server said."""

    status: int
    text: str


class Server:
    """A provider's server: over kept connections, both timeouts explicit, nothing asked twice."""

    def __init__(self, address: str, connect: float, read: float, connections: int) -> None:
        """Take timeouts in seconds, and how many may ask at once."""
        # No retries here: whether a send may be repeated is decided in flows/sending.
        self._adapter = HTTPAdapter(pool_maxsize=connections, max_retries=0)
        # Proxies and certificates of the environment. A session looks for them at every request,
        # and for cookies, redirections and hooks that no API has: a third of a send's cost.
        found: Any = Session().merge_environment_settings(address, {}, None, None, None)
        self._how = {**found, "timeout": (connect, read)}
        # Keep phone numbers out of the logs: the library beneath would write addresses.
        logging.getLogger("urllib3.connectionpool").setLevel(logging.INFO)

    def ask(
        self, method: str, url: str, headers: Mapping[str, str], body: bytes | None = None
    ) -> Reply:
        """Make one request, following no redirection. Raises RequestException."""
        request = PreparedRequest()
        request.method, request.url, request.body = method, url, body
        request.headers = CaseInsensitiveDict({**_HEADERS, **headers})
        if method != "GET":
            request.headers["Content-Length"] = str(len(body or b""))
        reply = self._adapter.send(request, **self._how)
        # Read before anybody asks: the rest of it, too, may fail to come.
        return Reply(reply.status_code, reply.content.decode(errors="replace"))


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
    except exceptions.RequestException as error:
        reason = type(error).__name__
        if _never_left(error):
            raise NotAccepted(f"could not connect ({reason})") from error
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


def _never_left(error: exceptions.RequestException) -> bool:
    """Tell whether no byte of the request went out: not connected, or not trusted."""
    reason = getattr(error.args[0], "reason", None) if error.args else None
    if isinstance(reason, NewConnectionError | ConnectTimeoutError):
        return True
    return bool(reason and reason.args and isinstance(reason.args[0], ssl.SSLCertVerificationError))
