"""One address for the nodes of RabbitMQ, as a load balancer gives them in production."""

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Final

from tests.proxy import Proxy

_GREETING: Final = b"AMQP\x00\x00\x09\x01"
_TIMEOUT: Final = 0.5  # seconds


class Balancer(Proxy):
    """Gives each connection to the first node that answers; a frozen one accepts, but is silent."""

    def __init__(self, ports: Sequence[int]) -> None:
        super().__init__(("127.0.0.1", ports[0]))
        self._ports = ports

    async def _connect(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for port in self._ports:
            if await _answers(port):
                self.server = ("127.0.0.1", port)
                await super()._connect(reader, writer)
                return


async def _answers(port: int) -> bool:
    with suppress(OSError, TimeoutError):
        async with asyncio.timeout(_TIMEOUT):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            try:
                writer.write(_GREETING)
                return bool(await reader.read(1))
            finally:
                writer.close()
    return False


@contextmanager
def balancer_of(ports: Sequence[int]) -> Iterator[str]:
    """Run a balancer until the end of the block; yield its URL."""
    balancer = Balancer(ports)
    balancer.start()
    try:
        yield f"amqp://guest:guest@127.0.0.1:{balancer.port}//"
    finally:
        balancer.stop()
