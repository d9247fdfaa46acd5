"""The open loop: a request at every tick, whether or not the last was answered.

How long an answer took is counted from the tick, not from when a connection was free: a server
that lets everybody wait cannot hide it (coordinated omission). Run as a process of its own:
`python -m bench.pacing HOST PORT FILE RATE SECONDS`. A thousand a second is little even for Python;
the machine's own share of the figures is the same for all candidates.
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
_PATIENCE: Final = 10.0


class Line:
    """One kept connection, opened when it is first used and again when it breaks."""

    def __init__(self, host: str, port: int) -> None:
        self._where = host, port
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def ask(self, request: bytes) -> int:
        """Return the status of the answer, 0 where none came."""
        try:
            if self._streams is None:
                self._streams = await asyncio.open_connection(*self._where)
            reader, writer = self._streams
            writer.write(request)
            async with asyncio.timeout(_PATIENCE):
                head = await reader.readuntil(b"\r\n\r\n")
            assert b"\r\ncontent-length: 0" in head.lower() or head.startswith(b"HTTP/1.1 204")
            return int(head[9:12])
        except (OSError, EOFError, TimeoutError):
            await self.close()
            return 0

    async def close(self) -> None:
        """Close the connection, if there is one."""
        if self._streams is None:
            return
        writer, self._streams = self._streams[1], None
        writer.close()
        with suppress(OSError):
            await writer.wait_closed()


async def pace(host: str, port: int, requests: Iterator[bytes], rate: float, seconds: float) -> str:
    """Send; return what was seen, as JSON."""
    lines = [Line(host, port) for _ in range(_CONNECTIONS)]
    free: asyncio.Queue[Line] = asyncio.Queue()
    for line in lines:
        free.put_nowait(line)
    waits: list[float] = []
    statuses: dict[int, int] = {}

    async def one(request: bytes, due: float) -> None:
        line = await free.get()
        status = await line.ask(request)
        free.put_nowait(line)
        waits.append(time.monotonic() - due)
        statuses[status] = statuses.get(status, 0) + 1

    first, tasks = time.monotonic(), set[asyncio.Task[None]]()
    for number in range(int(rate * seconds)):
        due = first + number / rate
        await asyncio.sleep(max(0.0, due - time.monotonic()))
        task = asyncio.create_task(one(next(requests), due))
        tasks.add(task)
        task.add_done_callback(tasks.discard)
    await asyncio.gather(*tasks)
    for line in lines:
        await line.close()
    waits.sort()
    p50, p99 = (1000 * waits[int(len(waits) * part)] for part in (0.5, 0.99))
    return json.dumps({"statuses": statuses, "p50_ms": p50, "p99_ms": p99})


def read(path: Path) -> Iterator[bytes]:
    """Yield the requests of a file as `bench.load.write` leaves it."""
    with path.open("rb") as file:
        while length := file.read(8):
            yield file.read(int(length))


if __name__ == "__main__":
    _host, _port, _path, _rate, _seconds = sys.argv[1:]
    print(
        asyncio.run(pace(_host, int(_port), read(Path(_path)), float(_rate), float(_seconds))),
        flush=True,
    )
