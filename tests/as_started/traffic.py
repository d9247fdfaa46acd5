"""A provider that calls back at a steady rate while web servers come and go."""

import asyncio
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from threading import Event, Thread
from typing import Final
from urllib.parse import urlsplit

from tests.as_started.installation import Installation
from tests.as_started.load import read_status

_PAUSE: Final = 0.01  # seconds between two callbacks
_PREPARE: Final = """
import sys
from pathlib import Path
from types import SimpleNamespace
from bench import callbacks, load, waybill


messages = callbacks.make_messages(int(sys.argv[1]) // len(callbacks.STATUSES))
environment = dict(line.split("=", 1) for line in Path(".env").read_text().splitlines()
                   if "=" in line and not line.startswith("#"))
waybill.fill(SimpleNamespace(environment=environment), messages)
load.write(Path(sys.argv[2]), map(callbacks.http_request, callbacks.callbacks(messages)))
"""


def prepare(waybill: Installation, count: int) -> list[bytes]:
    """Insert messages with the code of an installation; return signed callbacks about them."""
    file = waybill.directory / "callbacks"
    waybill.run(sys.executable, "-c", _PREPARE, str(count), str(file))
    return list(_requests(file.read_bytes()))


class Traffic:
    """Sends callbacks to the web servers in turn until it is stopped, each once."""

    def __init__(self, requests: Sequence[bytes], servers: Sequence[Installation]) -> None:
        self.answers = Counter[int]()  # by status; 0: no answer
        self.servers = list(servers)
        self._requests = requests
        self._stop = Event()
        self._thread = Thread(target=lambda: asyncio.run(self._send_all()))

    @property
    def sent(self) -> int:
        """Return how many callbacks have been answered, or have failed."""
        return self.answers.total()

    @property
    def refused(self) -> int:
        """Return how many callbacks were not answered with 204."""
        return self.sent - self.answers[204]

    def __enter__(self) -> "Traffic":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    async def _send_all(self) -> None:
        for number, request in enumerate(self._requests):
            if self._stop.is_set():
                return
            server = self.servers[number % len(self.servers)]
            self.answers[await _send(server.url, request)] += 1
            await asyncio.sleep(_PAUSE)
        raise AssertionError("all callbacks were sent before the end of the test")


async def _send(url: str, request: bytes) -> int:
    server = urlsplit(url)
    try:
        reader, writer = await asyncio.open_connection(server.hostname, server.port)
        writer.write(request)
        status = await read_status(reader)
        writer.close()
    except (OSError, EOFError, TimeoutError):
        return 0
    return status


def _requests(data: bytes) -> Iterator[bytes]:
    """Yield the requests of a file of `bench.load`: each after its length in eight digits."""
    position = 0
    while position < len(data):
        start = position + 8
        position = start + int(data[position:start])
        yield data[start:position]
