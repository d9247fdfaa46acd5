"""Starts the receivers, tells them what to do, and reads their books."""

import json
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple


class Request(NamedTuple):
    """A request as a receiver wrote it down, before it answered."""

    receiver: str
    at: float  # seconds since 1970
    id: str  # the header webhook-id
    signed: bool  # by `standardwebhooks`, when the request arrived
    habit: str  # what the receiver did with it
    body: dict[str, Any]

    @property
    def is_taken(self) -> bool:
        """Return whether the receiver answered with a 2xx."""
        return self.habit == "works"


class Receivers:
    """The process of the receivers."""

    def __init__(self, process: "subprocess.Popen[str]", file: Path) -> None:
        self._process, self._file = process, file
        self._offset, self._requests = 0, list[Request]()
        self._ports: dict[str, int] = json.loads(self._line())

    def url(self, name: str) -> str:
        """Return the URL of a receiver."""
        return f"http://127.0.0.1:{self._ports[name]}/{name.replace(' ', '-')}"

    def know(self, name: str, secret: str) -> None:
        """Give a receiver the secret that signs its requests."""
        self._order(name=name, secret=secret)

    def become(self, name: str, habit: str) -> None:
        """Change what a receiver does with requests."""
        self._order(name=name, habit=habit)

    def requests(self) -> Sequence[Request]:
        """Return all requests until now, in the order of their arrival."""
        with self._file.open() as file:
            file.seek(self._offset)
            while (line := file.readline()).endswith("\n"):
                self._requests.append(Request(**json.loads(line)))
                self._offset = file.tell()
        return self._requests

    def _order(self, **order: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(order) + "\n")
        self._process.stdin.flush()
        self._line()

    def _line(self) -> str:
        assert self._process.stdout is not None
        if not (line := self._process.stdout.readline()):
            raise RuntimeError("the receivers have exited")
        return line


@contextmanager
def receivers(names: Sequence[str], directory: Path) -> Iterator[Receivers]:
    """Run receivers with their books in a directory."""
    file = directory / "books.jsonl"
    file.touch()
    command = [sys.executable, "-m", "tests.chaos.webhooks.receivers", *names, str(file)]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True) as process:
        try:
            yield Receivers(process, file)
        finally:
            process.kill()
