"""A webhook endpoint of a client, which keeps its own record of what it received."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from standardwebhooks import Webhook, WebhookVerificationError


class Receiver:
    """The ids of the events that were received with a valid signature."""

    def __init__(self) -> None:
        self.url = ""
        self.secret = ""
        self.events = set[str]()
        self.repeated = 0
        self.forged = 0
        self._lock = threading.Lock()

    def receive(self, headers: dict[str, str], body: bytes) -> int:
        """Record a request; return the status of the answer."""
        try:
            Webhook(self.secret).verify(body, headers)
        except (WebhookVerificationError, ValueError):
            self.forged += 1
            return 400
        with self._lock:
            self.repeated += headers["webhook-id"] in self.events
            self.events.add(headers["webhook-id"])
        return 204


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128  # with 5, connections that come together wait for a second and more


@contextmanager
def receiver() -> Iterator[Receiver]:
    """Serve an endpoint on loopback."""
    record = Receiver()
    server = _Server(("127.0.0.1", 0), _handler(record))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    record.url = f"http://127.0.0.1:{server.server_port}/webhooks"
    try:
        yield record
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _handler(record: Receiver) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            """Receive an event."""
            body = self.rfile.read(int(self.headers["Content-Length"]))
            headers = {name.lower(): value for name, value in self.headers.items()}
            self.send_response(record.receive(headers, body))
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            """Do not log requests."""

    return Handler
