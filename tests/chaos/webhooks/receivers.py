"""Receivers of webhooks, in their own process: `python -m tests.chaos.webhooks.receivers`.

Arguments are the names of the receivers and the file of their books. The process prints the port of
each, then reads orders from its standard input, one JSON object a line: `{"name": ..., "secret":
...}` or `{"name": ..., "habit": ...}`. One line of the books is one request: see `books.Request`.
"""

import asyncio
import json
import random
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from email.parser import BytesParser
from pathlib import Path
from typing import IO, Any, Final

from standardwebhooks import Webhook, WebhookVerificationError

from tests.chaos.webhooks.plan import RETRY_AFTER

_HUNG: Final = 60.0  # longer than any caller waits
_SLOW: Final = 0.05

# What a receiver does with a request: an answer, or its beginning before the connection is cut.
_ANSWERS: Final[Mapping[str, bytes]] = {
    "works": b"HTTP/1.1 204 No Content\r\n\r\n",
    "fails": b"HTTP/1.1 500 Internal Server Error\r\nContent-Length: 0\r\n\r\n",
    "throttles": b"HTTP/1.1 429 Too Many Requests\r\n"
    b"Retry-After: %d\r\nContent-Length: 0\r\n\r\n" % RETRY_AFTER,
    "is gone": b"HTTP/1.1 410 Gone\r\nContent-Length: 0\r\n\r\n",
    # Not behind the status: Python's http.client then takes the answer for complete.
    "cuts": b"HTTP/1.1 2",
    "hangs": b"",
}
HABITS: Final = (*_ANSWERS, "is flaky", "is down")


class Receiver:
    """Listens on a port of its own, and writes each request into the books before it answers."""

    def __init__(self, name: str, books: IO[str]) -> None:
        self._name, self._books = name, books
        self._webhook: Webhook | None = None
        self._habit = "works"
        self._connections = set[asyncio.StreamWriter]()
        self._server: asyncio.Server | None = None
        self.port = 0

    async def listen(self) -> None:
        """Listen; on the same port when it is called again."""
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def obey(self, order: Mapping[str, str]) -> None:
        """Change the habit, or check signatures by this secret from now on."""
        if "secret" in order:
            self._webhook = Webhook(order["secret"])
            return
        before, self._habit = self._habit, order["habit"]
        if self._habit == "is down":
            assert self._server is not None
            self._server.close()
            for writer in [*self._connections]:
                writer.transport.abort()
        elif before == "is down":
            await self.listen()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._connections.add(writer)
        with suppress(OSError, EOFError):
            while await self._answer(reader, writer):
                pass
        self._connections.discard(writer)
        writer.transport.abort()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """Answer one request; return whether the connection stays open."""
        head = await reader.readuntil(b"\r\n\r\n")
        headers = dict(BytesParser().parsebytes(head.partition(b"\r\n")[2]).items())
        body = await reader.readexactly(int(headers["Content-Length"]))
        habit = self._habit
        if habit == "is flaky":
            habit = random.choice(("works", "works", "fails"))
        self._write(headers, body, habit)
        await asyncio.sleep(_HUNG if habit == "hangs" else _SLOW)
        writer.write(_ANSWERS[habit])
        await writer.drain()
        return habit not in ("cuts", "hangs")

    def _write(self, headers: Mapping[str, str], body: bytes, habit: str) -> None:
        entry = {
            "receiver": self._name,
            "at": time.time(),
            "id": headers.get("webhook-id"),
            "signed": self._is_signed(headers, body),
            "habit": habit,
            "body": json.loads(body),
        }
        self._books.write(json.dumps(entry) + "\n")
        self._books.flush()

    def _is_signed(self, headers: Mapping[str, str], body: bytes) -> bool:
        if self._webhook is None:
            return False
        try:
            self._webhook.verify(body, dict(headers), json_parse=False)
        except WebhookVerificationError:
            return False
        return True


async def serve(names: list[str], books: IO[str]) -> None:
    """Serve until the end of the standard input."""
    receivers = {name: Receiver(name, books) for name in names}
    for receiver in receivers.values():
        await receiver.listen()
    print(json.dumps({name: receiver.port for name, receiver in receivers.items()}), flush=True)
    read: Callable[[], Any] = sys.stdin.readline
    while line := await asyncio.to_thread(read):
        order = json.loads(line)
        await receivers[order["name"]].obey(order)
        print("done", flush=True)


if __name__ == "__main__":
    *_names, _file = sys.argv[1:]
    with Path(_file).open("a") as _books:
        asyncio.run(serve(_names, _books))
