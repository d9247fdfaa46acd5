"""Runs wrk as load generator: counts every answer, and its own CPU time."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Final, NamedTuple

_SCRIPT: Final = Path(__file__).with_name("load.lua")
# Seconds after the last request, for outstanding answers.
_GRACE: Final = 2


class Load(NamedTuple):
    """Result of one run. Times are wall-clock times in seconds."""

    sent: int
    early: int  # sent in the first seconds; all but one per connection were answered then
    accepted: int
    rejected: int
    failed: int  # failed connections and missing answers
    first: float
    last: float
    p50_ms: float
    p99_ms: float
    cores: float  # CPU cores used by wrk
    exhausted: bool = False

    @property
    def seconds(self) -> float:
        """Return the time from the first request to the last answer."""
        return self.last - self.first

    @property
    def rate(self) -> float:
        """Return accepted requests per second."""
        return self.accepted / self.seconds


def post(path: str, headers: dict[str, str], body: bytes) -> bytes:
    """Return the bytes of an HTTP POST."""
    lines = [f"POST {path} HTTP/1.1", *(f"{name}: {value}" for name, value in headers.items())]
    lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join([*lines, "", ""]).encode() + body


def write(path: Path, requests: Iterable[bytes]) -> int:
    """Write requests to a file for wrk; return their number."""
    with path.open("wb") as file:
        return sum(bool(file.write(b"%08d%b" % (len(request), request))) for request in requests)


def run(
    url: str,
    requests: Path,
    seconds: float,
    connections: int = 64,
    early: float = 0,
    max_requests: int = sys.maxsize,
    meanwhile: Callable[[], object] = lambda: None,
) -> Load:
    """Send at most `max_requests` for `seconds`, and call `meanwhile` during that time.

    Requests of the first `early` seconds are also counted separately.
    """
    command = [
        *("wrk", "--threads", "1", "--connections", str(connections), "--timeout", "30s"),
        *("--duration", f"{int(seconds) + _GRACE}s", "--script", str(_SCRIPT), url),
        *("--", str(requests), str(seconds), str(early), str(max_requests)),
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
    """Parse the output of load.lua. Raises RuntimeError when it has no result."""
    lines = [line for line in output.splitlines() if line.startswith("RESULT ")]
    if not lines:
        raise RuntimeError(f"wrk failed:\n{output}")
    result = json.loads(lines[0].removeprefix("RESULT "))
    answered, rejected = result.pop("answered"), result.pop("rejected")
    missing = result["sent"] - answered
    return Load(
        accepted=answered - rejected,
        rejected=rejected,
        failed=result.pop("failed") + missing,
        cores=cpu_seconds / (result["last"] - result["first"]),
        **result,
    )
