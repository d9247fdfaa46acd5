"""The load generator: wrk, its answers counted exactly, and what it cost itself."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Final, NamedTuple

_SCRIPT: Final = Path(__file__).with_name("load.lua")
# After the last request, for the answers to come in.
_SILENCE: Final = 2


class Load(NamedTuple):
    """What one run of the generator saw. Times are of the wall clock, in seconds."""

    sent: int
    early: int  # sent in the first seconds: answered, but for one on each connection
    accepted: int
    refused: int
    broken: int  # connections that failed, answers that never came
    first: float
    last: float
    p50_ms: float
    p99_ms: float
    cores: float  # what the generator itself used, while it sent
    exhausted: bool = False

    @property
    def seconds(self) -> float:
        """Return how long it took from the first request to the last answer."""
        return self.last - self.first

    @property
    def rate(self) -> float:
        """Return accepted requests a second."""
        return self.accepted / self.seconds


def post(path: str, headers: dict[str, str], body: bytes) -> bytes:
    """Return a request as it goes over the wire."""
    lines = [f"POST {path} HTTP/1.1", *(f"{name}: {value}" for name, value in headers.items())]
    lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join([*lines, "", ""]).encode() + body


def write(path: Path, requests: Iterable[bytes]) -> int:
    """Write requests to a file that the generator can read; return how many."""
    with path.open("wb") as file:
        return sum(bool(file.write(b"%08d%b" % (len(request), request))) for request in requests)


def run(
    url: str,
    requests: Path,
    seconds: float,
    connections: int = 64,
    early: float = 0,
    most: int = sys.maxsize,
    meanwhile: Callable[[], object] = lambda: None,
) -> Load:
    """Send for `seconds`, no more than `most`; call `meanwhile` meanwhile.

    Those of the first `early` seconds are counted apart.
    """
    command = [
        *("wrk", "--threads", "1", "--connections", str(connections), "--timeout", "30s"),
        *("--duration", f"{int(seconds) + _SILENCE}s", "--script", str(_SCRIPT), url),
        *("--", str(requests), str(seconds), str(early), str(most)),
    ]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        meanwhile()
    finally:
        output = process.stdout.read()
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    return parse(output, usage.ru_utime + usage.ru_stime)


def parse(output: str, cpu_seconds: float) -> Load:
    """Read what the script printed. Raises RuntimeError when it printed nothing."""
    found = [line for line in output.splitlines() if line.startswith("RESULT ")]
    if not found:
        raise RuntimeError(f"wrk did not end well:\n{output}")
    said = json.loads(found[0].removeprefix("RESULT "))
    answered, refused = said.pop("answered"), said.pop("refused")
    missing = said["sent"] - answered
    return Load(
        accepted=answered - refused,
        refused=refused,
        broken=said.pop("broken") + missing,
        cores=cpu_seconds / (said["last"] - said["first"]),
        **said,
    )
