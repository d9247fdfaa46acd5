"""A TCP proxy before a server, that can hang, lose what it is sent, and be slow."""

import asyncio
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

# A host and a port, or the path of a Unix socket.
Address = tuple[str, int] | Path

_CHUNK = 65_536


class Proxy:
    """Forwards every connection to one server. Its methods may be called from any thread."""

    def __init__(self, loop: asyncio.AbstractEventLoop, server: Address) -> None:
        self.port = 0  # known once it listens
        self._loop = loop
        self._server = server
        self._open = asyncio.Event()
        self._open.set()
        self._losing = False
        self._delay = 0.0
        self._writers = dict[asyncio.StreamWriter, bool]()  # whether bytes of it were lost

    def hang(self) -> None:
        """Hold back what either side sends; connections stay open, and new ones are accepted."""
        self._call(self._open.clear)

    def swallow(self) -> None:
        """Lose what either side sends, without a word; connections stay open."""
        self._call(self._set, True, self._delay)

    def slow_down(self, seconds: float) -> None:
        """Forward each chunk this many seconds late."""
        self._call(self._set, self._losing, seconds)

    def resume(self) -> None:
        """Forward again, also what was held back. A connection that lost bytes is closed."""
        self._call(self._resume)

    def cut(self) -> None:
        """Close every connection."""
        self._call(self._close, list(self._writers))

    async def serve(self, client: asyncio.StreamReader, answers: asyncio.StreamWriter) -> None:
        """Forward one connection in both directions, until either side closes it."""
        self._writers[answers] = False
        try:
            await self._open.wait()
            reader, writer = await self._connect()
            self._writers[writer] = False
            await asyncio.gather(self._pump(client, writer), self._pump(reader, answers))
        except (OSError, asyncio.CancelledError):
            answers.close()  # asyncio reports a handler that ends with either

    async def _connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        if isinstance(self._server, Path):
            return await asyncio.open_unix_connection(self._server)
        return await asyncio.open_connection(*self._server)

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while chunk := await reader.read(_CHUNK):
                await asyncio.sleep(self._delay)
                await self._open.wait()
                if self._losing:
                    self._writers[writer] = True
                    continue
                writer.write(chunk)
                await writer.drain()
        finally:
            self._writers.pop(writer, None)
            writer.close()

    def _set(self, losing: bool, delay: float) -> None:
        self._losing, self._delay = losing, delay

    def _resume(self) -> None:
        self._set(False, 0.0)
        self._open.set()
        self._close([writer for writer, lost in self._writers.items() if lost])

    def _close(self, writers: list[asyncio.StreamWriter]) -> None:
        for writer in writers:
            writer.close()

    def _call(self, function: Callable[..., object], *arguments: Any) -> None:
        self._loop.call_soon_threadsafe(function, *arguments)


@contextmanager
def proxy(server: Address) -> Iterator[Proxy]:
    """Run a proxy before a server until the end of the block."""
    loop = asyncio.new_event_loop()
    forwarder = Proxy(loop, server)
    listener = loop.run_until_complete(asyncio.start_server(forwarder.serve, "127.0.0.1", 0))
    forwarder.port = listener.sockets[0].getsockname()[1]
    thread = threading.Thread(target=loop.run_forever, name="proxy", daemon=True)
    thread.start()
    try:
        yield forwarder
    finally:
        asyncio.run_coroutine_threadsafe(_end(listener), loop).result(10)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)
        loop.close()


async def _end(listener: asyncio.Server) -> None:
    listener.close()
    others = asyncio.all_tasks() - {asyncio.current_task()}
    for task in others:
        task.cancel()
    await asyncio.gather(*others, return_exceptions=True)
