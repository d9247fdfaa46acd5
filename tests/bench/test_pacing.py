"""The open loop is believed only if it shows what a closed one hides."""

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
    """Pace requests to a server that answers the nth of them so."""

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
        at_work = asyncio.all_tasks()
        port = server.sockets[0].getsockname()[1]
        try:
            return await pacing.pace("127.0.0.1", port, repeat(REQUEST), rate, seconds)
        finally:
            server.close()
            await asyncio.gather(*(asyncio.all_tasks() - at_work))

    said: dict[str, Any] = json.loads(asyncio.run(run()))
    return said


async def at_once(_: int) -> bytes:
    return b"HTTP/1.1 204 No Content\r\n\r\n"


def test_every_request_is_answered_and_counted_by_its_status() -> None:
    async def some_refused(number: int) -> bytes:
        refused = b"HTTP/1.1 503 Unavailable\r\nContent-Length: 0\r\n\r\n"
        return refused if number % 4 == 0 else await at_once(number)

    assert paced(some_refused, 400, 0.5)["statuses"] == {"204": 150, "503": 50}


def test_an_answer_that_never_comes_is_counted() -> None:
    async def cut(number: int) -> bytes:
        if number == 5:
            raise asyncio.IncompleteReadError(b"", None)
        return await at_once(number)

    assert paced(cut, 100, 0.2)["statuses"] == {"204": 19, "0": 1}


def test_a_pause_of_the_server_shows_in_all_that_came_due_in_it() -> None:
    """A closed loop would send nothing meanwhile, and see one slow answer of many."""
    open_again = asyncio.Event()

    async def pausing(number: int) -> bytes:
        if number == 100:
            asyncio.get_running_loop().call_later(0.5, open_again.set)
        if number >= 100:
            await open_again.wait()
        return await at_once(number)

    seen = paced(pausing, 400, 1.0)
    assert seen["statuses"] == {"204": 400}
    assert seen["p99_ms"] > 300


def test_requests_are_read_back_as_they_were_written(tmp_path: Path) -> None:
    load.write(tmp_path / "requests", [b"one", b"another"])
    assert list(pacing.read(tmp_path / "requests")) == [b"one", b"another"]
