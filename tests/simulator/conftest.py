"""A running simulator, the official client, and a webhook server."""

import json
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any
from urllib.parse import parse_qsl

import pytest
from twilio.http.http_client import TwilioHttpClient
from twilio.http.response import Response
from twilio.rest import Client

from simulator.config import Config
from simulator.running import Running, running

TWILIO = "https://api.twilio.com"


def eventually(condition: Callable[[], bool], seconds: float = 10) -> None:
    """Wait until a condition is true; fail after some seconds."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "the condition did not become true"
        time.sleep(0.01)


class SimulatorHttpClient(TwilioHttpClient):
    """Sends every request to the simulator instead of Twilio."""

    def __init__(self, base_url: str, timeout: float) -> None:
        super().__init__(timeout=timeout)
        self.base_url = base_url
        self.session.trust_env = False

    def request(self, method: str, url: str, *args: Any, **kwargs: Any) -> Response:
        return super().request(method, url.replace(TWILIO, self.base_url), *args, **kwargs)


@dataclass
class Received:
    """One received callback."""

    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def pairs(self) -> list[tuple[str, str]]:
        return parse_qsl(self.body.decode(), keep_blank_values=True)

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def form(self) -> dict[str, str]:
        return dict(self.pairs)

    @property
    def status(self) -> str:
        return self.form["MessageStatus"]


class Webhook:
    """A web server that receives callbacks; `answer` returns the status for each."""

    def __init__(self) -> None:
        self.received: list[Received] = []
        self.answer: Callable[[Received], int | None] = lambda callback: 204
        self.content = ("text/plain", b"")  # type and body of every answer
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}/status?note_id=a%2Fb"
        Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()

    @property
    def statuses(self) -> list[str]:
        """Return the statuses in order of arrival; the order is not guaranteed."""
        return [callback.status for callback in self.received]

    def form(self, status: str) -> dict[str, str]:
        """Return the fields of the only callback with this status."""
        [callback] = [callback for callback in self.received if callback.status == status]
        return callback.form

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        webhook = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                callback = Received(self.path, dict(self.headers), body)
                webhook.received.append(callback)
                status = webhook.answer(callback)
                if status is not None:  # None: close the connection
                    self.send_response(status)
                    self.send_header("Location", "/elsewhere")
                    content_type, body = webhook.content
                    self.send_header("Content-Type", content_type)
                    self.end_headers()
                    self.wfile.write(body)

            def log_message(self, *args: Any) -> None:
                pass

        return Handler


@pytest.fixture
def start() -> Iterator[Callable[..., Running]]:
    """Start a simulator with these options; by default it is fast and always delivers."""
    with ExitStack() as stack:

        def start_one(**options: Any) -> Running:
            quick: dict[str, Any] = {"pace": 0.2, "outcomes": {"delivered": 1}, "retry_pause": 0.01}
            return stack.enter_context(running(Config(**(quick | options))))

        yield start_one


@pytest.fixture
def simulator(start: Callable[..., Running]) -> Running:
    return start()


@pytest.fixture
def client_of() -> Callable[..., Client]:
    """Connect the official client to a simulator."""

    def make(simulator: Running, timeout: float = 10, token: str | None = None) -> Client:
        config = simulator.config
        return Client(
            config.account_sid,
            token or config.auth_token,
            http_client=SimulatorHttpClient(simulator.url, timeout),
        )

    return make


@pytest.fixture
def client(simulator: Running, client_of: Callable[..., Client]) -> Client:
    return client_of(simulator)


@pytest.fixture
def webhook() -> Iterator[Webhook]:
    webhook = Webhook()
    yield webhook
    webhook.stop()
