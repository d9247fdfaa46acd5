"""Sends bursts of signed callbacks over many connections and counts the answers."""

import asyncio
import time
from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple
from urllib.parse import urlsplit

CONNECTIONS = 64


class Burst(NamedTuple):
    """Result of one burst: answers by status, and the duration in seconds."""

    statuses: Counter[int]
    seconds: float

    @property
    def rate(self) -> float:
        """Return accepted callbacks per second."""
        return self.statuses[204] / self.seconds


def burst(url: str, requests: Sequence[bytes], connections: int = CONNECTIONS) -> Burst:
    """Send requests over persistent connections, one request at a time on each."""
    return asyncio.run(_burst(url, requests, connections))


async def _burst(url: str, requests: Sequence[bytes], connections: int) -> Burst:
    server, statuses, start = urlsplit(url), Counter[int](), time.monotonic()
    queue = iter(requests)

    async def send() -> None:
        reader, writer = await asyncio.open_connection(server.hostname, server.port)
        try:
            for request in queue:
                writer.write(request)
                statuses[await read_status(reader)] += 1
        finally:
            writer.close()

    await asyncio.gather(*(send() for _ in range(connections)))
    return Burst(statuses, time.monotonic() - start)


async def read_status(reader: asyncio.StreamReader) -> int:
    """Read one answer, with its body; return the status."""
    head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 60)
    lines = head.lower().split(b"\r\n")
    length = [line for line in lines if line.startswith(b"content-length:")]
    if length:
        await reader.readexactly(int(length[0].partition(b":")[2]))
    return int(lines[0].split()[1])
