"""A TCP proxy that can stop forwarding, delay answers, or close connections."""

import asyncio
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

Address = tuple[str, int] | str  # a host and a port, or the path of a Unix socket


class Proxy:
    """Listens on a port of this machine and forwards to a server.

    `answer_delay` returns a delay in seconds for each chunk of an answer.
    """

    def __init__(self, server: Address) -> None:
        self.server = server  # of connections from now on
        self._loop = asyncio.new_event_loop()
        self._forwards = asyncio.Event()
        self._forwards.set()
        self._writers = set[asyncio.StreamWriter]()
        self._tasks = set[asyncio.Task[None]]()
        self._swallows = False
        self._lost = set[asyncio.StreamWriter]()
        self.port = 0
        self.answer_delay: Callable[[], float] = lambda: 0.0

    def hang(self) -> None:
        """Stop forwarding. Connections stay open, and new ones are accepted."""
        self._loop.call_soon_threadsafe(self._forwards.clear)

    def swallow(self) -> None:
        """Drop all data of both sides. Connections stay open."""
        self._swallows = True

    def resume(self) -> None:
        """Forward again, held data first; close connections that lost data."""
        self._swallows = False
        self._loop.call_soon_threadsafe(self._forwards.set)
        self._run(self._cut(self._lost))

    def cut(self) -> None:
        """Close every connection."""
        self._run(self._cut(self._writers))

    def start(self) -> None:
        """Listen in a background thread."""
        self._thread = threading.Thread(target=self._loop.run_forever, name="proxy", daemon=True)
        self._thread.start()
        self._run(self._listen())

    def stop(self) -> None:
        """Close all connections and stop listening."""
        self._run(self._close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    def _run(self, coroutine: "asyncio.coroutines.Coroutine[object, object, None]") -> None:
        asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(10)

    async def _listen(self) -> None:
        self._listener = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._listener.sockets[0].getsockname()[1]

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        self._writers.add(writer)
        try:
            # A cancelled task would be reported as an error of the server.
            with suppress(OSError, asyncio.CancelledError):
                await self._forwards.wait()
                await self._connect(reader, writer)
        finally:
            self._discard(writer)
            self._tasks.discard(task)

    async def _connect(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if isinstance(self.server, str):
            answers, upstream = await asyncio.open_unix_connection(self.server)
        else:
            answers, upstream = await asyncio.open_connection(*self.server)
        self._writers.add(upstream)
        try:
            await asyncio.gather(
                self._pump(reader, upstream, lambda: 0.0),
                self._pump(answers, writer, lambda: self.answer_delay()),
            )
        finally:
            self._discard(upstream)

    async def _pump(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        delay: Callable[[], float],
    ) -> None:
        with suppress(OSError):
            while data := await reader.read(65536):
                if seconds := delay():
                    await asyncio.sleep(seconds)
                await self._forwards.wait()
                if self._swallows:
                    self._lost.add(writer)
                    continue
                writer.write(data)
                await writer.drain()
        # One side has closed: close the other when forwarding is on.
        await self._forwards.wait()
        self._discard(writer)

    def _discard(self, writer: asyncio.StreamWriter) -> None:
        self._writers.discard(writer)
        self._lost.discard(writer)
        writer.close()

    async def _cut(self, writers: set[asyncio.StreamWriter]) -> None:
        for writer in [*writers]:
            writer.transport.abort()

    async def _close(self) -> None:
        self._listener.close()
        for task in [*self._tasks]:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


@contextmanager
def proxy_to(server: Address) -> Iterator[Proxy]:
    """Run a proxy until the end of the block."""
    proxy = Proxy(server)
    proxy.start()
    try:
        yield proxy
    finally:
        proxy.stop()
