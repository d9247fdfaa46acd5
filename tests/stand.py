"""A stub HTTP server in place of a provider: gives a set answer and records the requests."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event, Thread
from typing import Any
from urllib.parse import parse_qs


@dataclass
class Stand:
    """The answer to give, and the requests received."""

    url: str = ""
    status: int = 201
    body: bytes = b""
    habit: str = "answers"
    headers: dict[str, str] = field(default_factory=dict)
    methods: list[str] = field(default_factory=list)
    paths: list[str] = field(default_factory=list)
    authorization: str = ""
    sent: bytes = b""
    over: Event = field(default_factory=Event)

    def answer(self, status: int, body: object) -> None:
        self.status = status
        self.body = body if isinstance(body, bytes) else json.dumps(body).encode()

    @property
    def form(self) -> dict[str, list[str]]:
        return parse_qs(self.sent.decode(), keep_blank_values=True)

    @property
    def json(self) -> Any:
        return json.loads(self.sent)


@contextmanager
def standing(port: int = 0) -> Iterator[Stand]:
    """Run the server until the end of the block; port 0: any free port."""
    stand = Stand()
    server = ThreadingHTTPServer(("127.0.0.1", port), _handler(stand))
    stand.url = f"http://127.0.0.1:{server.server_port}"
    Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    try:
        yield stand
    finally:
        stand.over.set()
        server.shutdown()
        server.server_close()


def _handler(stand: Stand) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            stand.sent = self.rfile.read(int(self.headers["Content-Length"] or 0))
            stand.methods.append(self.command)
            stand.paths.append(self.path)
            stand.authorization = self.headers["Authorization"]
            if stand.habit == "says nothing":
                stand.over.wait(10)
            if stand.habit in ("answers", "breaks off"):
                self.send_response(stand.status)
                if stand.habit == "breaks off":
                    self.send_header("Content-Length", str(len(stand.body) + 1))
                self.send_header("Location", "/elsewhere")
                for name, value in stand.headers.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(stand.body)

        def do_GET(self) -> None:
            self.do_POST()

        def do_DELETE(self) -> None:
            self.do_POST()

        def log_message(self, *args: Any) -> None:
            pass

    return Handler
