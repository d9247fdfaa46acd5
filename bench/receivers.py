"""Receives webhooks and answers each after 50 ms: `python -m bench.receivers PORT`.

`GET /NUMBER` returns how many requests arrived after the first NUMBER, and the times of the first
and the last of them.
"""

import asyncio
import json
import sys
import time
from contextlib import suppress
from typing import Final

_ANSWER_IN: Final = 0.05
_TAKEN: Final = b"HTTP/1.1 204 No Content\r\n\r\n"


class Receivers:
    """Notes when requests arrived, at any path."""

    def __init__(self) -> None:
        self._times = list[float]()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer the requests of one connection."""
        with suppress(OSError, EOFError):
            while True:
                writer.write(await self._answer(await reader.readuntil(b"\r\n\r\n"), reader))
                await writer.drain()
        writer.close()

    async def _answer(self, head: bytes, reader: asyncio.StreamReader) -> bytes:
        if head.startswith(b"GET"):
            return self._report(int(head.split()[1].strip(b"/")))
        length = head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0]
        await reader.readexactly(int(length))
        self._times.append(time.time())
        await asyncio.sleep(_ANSWER_IN)
        return _TAKEN

    def _report(self, before: int) -> bytes:
        times = self._times[before:] or [0.0]
        counted = {"count": len(self._times) - before, "first": times[0], "last": times[-1]}
        body = json.dumps(counted)
        return f"HTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode()


async def _main(port: int) -> None:
    server = await asyncio.start_server(Receivers().serve, "127.0.0.1", port, backlog=256)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(_main(int(sys.argv[1])))
