"""Sends requests at a constant rate, also while earlier requests are unanswered (open loop).

Latency counts from the scheduled time of a request, not from when a connection was free. So a
stalled server cannot hide its delay (coordinated omission). Runs as a separate process:
`python -m bench.pacing HOST PORT FILE RATE SECONDS`. Python can send 1,000 requests/s easily.
"""

import asyncio
import json
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final

_CONNECTIONS: Final = 64
_TIMEOUT: Final = 10.0


class Connection:
    """A persistent connection, opened when it is first used and again after an error."""

    def __init__(self, host: str, port: int) -> None:
        self._address = host, port
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def send(self, request: bytes) -> int:
        """Return the status of the answer; 0 without an answer."""
        try:
            if self._streams is None:
                self._streams = await asyncio.open_connection(*self._address)
            reader, writer = self._streams
            writer.write(request)
            async with asyncio.timeout(_TIMEOUT):
                head = await reader.readuntil(b"\r\n\r\n")
            assert b"\r\ncontent-length: 0" in head.lower() or head.startswith(b"HTTP/1.1 204")
            return int(head[9:12])
        except (OSError, EOFError, TimeoutError):
            await self.close()
            return 0

    async def close(self) -> None:
        """Close the connection if it is open."""
        if self._streams is None:
            return
        writer, self._streams = self._streams[1], None
        writer.close()
        with suppress(OSError):
            await writer.wait_closed()


async def pace(host: str, port: int, requests: Iterator[bytes], rate: float, seconds: float) -> str:
    """Send requests at a rate; return the statuses and latencies as JSON."""
    connections = [Connection(host, port) for _ in range(_CONNECTIONS)]
    free: asyncio.Queue[Connection] = asyncio.Queue()
    for connection in connections:
        free.put_nowait(connection)
    latencies: list[float] = []
    statuses: dict[int, int] = {}

    async def send(request: bytes, due: float) -> None:
        connection = await free.get()
        status = await connection.send(request)
        free.put_nowait(connection)
        latencies.append(time.monotonic() - due)
        statuses[status] = statuses.get(status, 0) + 1

    first, tasks = time.monotonic(), set[asyncio.Task[None]]()
    for number in range(int(rate * seconds)):
        due = first + number / rate
        await asyncio.sleep(max(0.0, due - time.monotonic()))
        task = asyncio.create_task(send(next(requests), due))
        tasks.add(task)
        task.add_done_callback(tasks.discard)
    await asyncio.gather(*tasks)
    for connection in connections:
        await connection.close()
    latencies.sort()
    p50, p99 = (1000 * latencies[int(len(latencies) * share)] for share in (0.5, 0.99))
    return json.dumps({"statuses": statuses, "p50_ms": p50, "p99_ms": p99})


def read(path: Path) -> Iterator[bytes]:
    """Yield the requests of a file written by `bench.load.write`."""
    with path.open("rb") as file:
        while length := file.read(8):
            yield file.read(int(length))


if __name__ == "__main__":
    _host, _port, _path, _rate, _seconds = sys.argv[1:]
    print(
        asyncio.run(pace(_host, int(_port), read(Path(_path)), float(_rate), float(_seconds))),
        flush=True,
    )
