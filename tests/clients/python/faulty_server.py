"""The application behind a real socket, with faults between it and the client."""

import socket
from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from threading import Event, Thread
from time import sleep
from typing import Any, Final

from flask import Flask
from werkzeug.serving import WSGIRequestHandler, make_server

# Before the request has an effect, or after it, in place of the answer.
_IN_PLACE: Final = ("503", "502", "500", "cut", "hang")
# Of the answer.
_PARTLY: Final = ("half", "drip")
FAULTS: Final = (*_IN_PLACE, "429", *(f"{fault} after" for fault in _IN_PLACE), *_PARTLY)


@dataclass
class FaultyServer:
    """Plays the faults of `plan` in order, then answers. `requests` are those that arrived."""

    app: Flask
    url: str = ""
    plan: deque[str] = field(default_factory=deque)
    requests: list[tuple[str, str, str | None]] = field(default_factory=list)
    over: Event = field(default_factory=Event)

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        key = environ.get("HTTP_IDEMPOTENCY_KEY")
        self.requests.append((environ["REQUEST_METHOD"], environ["PATH_INFO"], key))
        fault = self.plan.popleft() if self.plan else None
        if not fault:
            return self.app.wsgi_app(environ, start_response)
        body = b""
        if fault.endswith(" after") or fault in _PARTLY:
            body = b"".join(self.app.wsgi_app(environ, lambda *_: None))
        return self._answer(fault.removesuffix(" after"), body, environ, start_response)

    def _answer(
        self, fault: str, body: bytes, environ: Any, start_response: Any
    ) -> Iterable[bytes]:
        if fault == "hang":
            self.over.wait(5)
        if fault in ("hang", "cut"):
            environ["werkzeug.socket"].shutdown(socket.SHUT_RDWR)
            fault = "500"
        if fault in _PARTLY:
            start_response("202 Accepted", [("Content-Length", str(len(body)))])
            return self._drip(body) if fault == "drip" else [body[: len(body) // 2]]
        start_response(f"{fault} Fault", [("Content-Type", "text/html"), ("Retry-After", "0")])
        return [b"<html>of a proxy</html>"]

    def _drip(self, body: bytes) -> Iterator[bytes]:
        for byte in body:
            yield bytes([byte])
            sleep(0.05)


class _Handler(WSGIRequestHandler):
    protocol_version = "HTTP/1.1"

    def log(self, *args: Any) -> None:
        """Write nothing."""

    def run_wsgi(self) -> None:
        try:
            super().run_wsgi()
        except OSError:  # the connection was cut
            self.close_connection = True


@contextmanager
def faulty_server(app: Flask) -> Iterator[FaultyServer]:
    """Serve the application on loopback."""
    faulty = FaultyServer(app)
    server = make_server("127.0.0.1", 0, faulty, threaded=True, request_handler=_Handler)
    server.daemon_threads = True
    faulty.url = f"http://127.0.0.1:{server.server_port}"
    thread = Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield faulty
    finally:
        faulty.over.set()
        server.shutdown()
        server.server_close()
        thread.join()
