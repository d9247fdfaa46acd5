"""The open loop: latencies must include the time that requests wait."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from itertools import repeat
from pathlib import Path
from typing import Any

from bench import load, pacing

REQUEST = load.post("/", {"Host": "here"}, b"body")
Answer = Callable[[int], Awaitable[bytes]]


def paced(answer: Answer, rate: float, seconds: float) -> dict[str, Any]:
    """Send requests to a server that answers with `answer(number)`."""

    async def run() -> str:
        count = 0

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            nonlocal count
            try:
                while await reader.readuntil(b"body"):
                    count += 1
                    writer.write(await answer(count))
            except asyncio.IncompleteReadError:
                writer.close()

        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        running = asyncio.all_tasks()
        port = server.sockets[0].getsockname()[1]
        try:
            return await pacing.pace("127.0.0.1", port, repeat(REQUEST), rate, seconds)
        finally:
            server.close()
            await asyncio.gather(*(asyncio.all_tasks() - running))

    result: dict[str, Any] = json.loads(asyncio.run(run()))
    return result


async def no_content(_: int) -> bytes:
    return b"HTTP/1.1 204 No Content\r\n\r\n"


def test_requests_are_counted_by_status() -> None:
    async def every_fourth_rejected(number: int) -> bytes:
        unavailable = b"HTTP/1.1 503 Unavailable\r\nContent-Length: 0\r\n\r\n"
        return unavailable if number % 4 == 0 else await no_content(number)

    assert paced(every_fourth_rejected, 400, 0.5)["statuses"] == {"204": 150, "503": 50}


def test_missing_answer_is_counted() -> None:
    async def cut(number: int) -> bytes:
        if number == 5:
            raise asyncio.IncompleteReadError(b"", None)
        return await no_content(number)

    assert paced(cut, 100, 0.2)["statuses"] == {"204": 19, "0": 1}


def test_server_pause_shows_in_the_latencies() -> None:
    """A closed loop would send nothing during the pause and see one slow answer."""
    resumed = asyncio.Event()

    async def pausing(number: int) -> bytes:
        if number == 100:
            asyncio.get_running_loop().call_later(0.5, resumed.set)
        if number >= 100:
            await resumed.wait()
        return await no_content(number)

    result = paced(pausing, 400, 1.0)
    assert result["statuses"] == {"204": 400}
    assert result["p99_ms"] > 300


def test_written_requests_are_read_back(tmp_path: Path) -> None:
    load.write(tmp_path / "requests", [b"one", b"another"])
    assert list(pacing.read(tmp_path / "requests")) == [b"one", b"another"]
