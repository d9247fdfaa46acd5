"""The callbacks' own door: the same answers without Flask's contexts and response objects.

Wrapped round `app.wsgi_app`, Flask's documented place for it. Half the cost of a callback is
dispatch that nobody uses. A test holds the two doors to identical answers.
"""

from collections.abc import Iterable, Iterator, Mapping
from http import HTTPStatus
from time import perf_counter
from typing import TYPE_CHECKING, Final

from flask import Flask

from service.components import Components
from service.observability.metrics import counting
from service.providers.base import CallbackRequest
from service.web.callbacks import MAX_BODY, raw_path, receive

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

# More digits than any length we would read has; Python refuses to parse thousands of them.
_LONGEST_LENGTH: Final = 9
# What the routes behind the door are called in the metrics, by the number of steps.
_ROUTES: Final = {
    3: "/callbacks/{provider}",
    4: "/callbacks/{provider}/{attempt}",
    5: "/callbacks/{provider}/{secret}/{attempt}",
}


class CallbackDoor:
    """A WSGI callable that receives callbacks and passes everything else on."""

    def __init__(self, app: Flask) -> None:
        self._inner = app.wsgi_app
        self._parts: Components = app.extensions["waybill"]

    def __call__(self, environ: "WSGIEnvironment", start: "StartResponse") -> Iterable[bytes]:
        """Receive a plain callback; leave whatever is odd about it to the Flask route."""
        path = environ["PATH_INFO"].encode("latin-1").decode(errors="replace")
        place = path.split("/")
        length = environ.get("CONTENT_LENGTH", "")
        if (
            place[1:2] != ["callbacks"]
            or not 3 <= len(place) <= 5
            or place[2] not in self._parts.providers
            or not all(place[2:])
            or environ["REQUEST_METHOD"] != "POST"
            or not length.isdecimal()
            or len(length) > _LONGEST_LENGTH
            or int(length) > MAX_BODY
        ):
            return self._inner(environ, start)
        began = perf_counter()
        callback = CallbackRequest(
            path=raw_path(path),
            query=environ.get("QUERY_STRING", ""),
            headers=_Headers(environ),
            body=environ["wsgi.input"].read(int(length)),
        )
        attempt = place[-1] if len(place) > 3 else ""
        status, headers = receive(self._parts, place[2], attempt, callback)
        counting.request("POST", _ROUTES[len(place)], status, began)
        start(f"{status} {HTTPStatus(status).phrase}", list(headers.items()))
        return ()


class _Headers(Mapping[str, str]):
    """The headers of a request by their names in lower case; read where they stand."""

    def __init__(self, environ: "WSGIEnvironment") -> None:
        self._environ = environ

    def __getitem__(self, name: str) -> str:
        value: str = self._environ["HTTP_" + name.upper().replace("-", "_")]
        return value

    def __iter__(self) -> Iterator[str]:
        names = (name for name in self._environ if name.startswith("HTTP_"))
        return (name[5:].replace("_", "-").lower() for name in names)

    def __len__(self) -> int:
        return sum(1 for _ in self)
