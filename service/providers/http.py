"""Calls to a provider's API: both timeouts explicit, nothing repeated, every end classed."""

import json
import logging
import ssl
from collections.abc import Callable
from typing import Any, TypeVar

from requests import PreparedRequest, Response, Session, exceptions
from requests.adapters import HTTPAdapter
from urllib3.exceptions import ConnectTimeoutError, NewConnectionError

from service.errors import NotAccepted, OutcomeUnknown, ProviderError

_T = TypeVar("_T")


class Adapter(HTTPAdapter):
    """Sends with both timeouts, in seconds, over a pool that every worker thread fits in."""

    def __init__(self, connect: float, read: float, connections: int) -> None:
        # No retries here: whether a send may be repeated is decided in flows/sending.
        super().__init__(pool_maxsize=connections, max_retries=0)
        self._timeout = (connect, read)
        # Keep phone numbers out of the logs: the library beneath would write addresses.
        logging.getLogger("urllib3.connectionpool").setLevel(logging.INFO)

    def send(self, request: PreparedRequest, *args: Any, **kwargs: Any) -> Response:
        """Send, whatever timeout the caller asks for."""
        return super().send(request, *args, **{**kwargs, "timeout": self._timeout})


def prepare(session: Session, address: str, adapter: Adapter) -> None:
    """Have a session send through the adapter, to a server at this address."""
    for scheme in ("https://", "http://"):
        session.mount(scheme, adapter)
    # Proxies and certificates of the environment, looked up once: a quarter of a send's cost.
    found = session.merge_environment_settings(address, {}, None, None, None)
    session.proxies, session.verify, session.cert = found["proxies"], found["verify"], found["cert"]
    session.trust_env = False


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
