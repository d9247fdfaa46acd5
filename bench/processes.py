"""Runs processes and stops each by its process id."""

import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

_TIMEOUT: Final = 30.0


@contextmanager
def process(command: Sequence[str], environment: Mapping[str, str], log: Path) -> Iterator[int]:
    """Run a process with its output in `log`; yield its id."""
    with log.open("ab") as output:
        started = subprocess.Popen(
            command,
            env={**os.environ, **environment},
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        yield started.pid
    finally:
        _stop(started)


def await_port(port: int, log: Path) -> None:
    """Wait until a server listens. Raises RuntimeError with the log after 30 s."""
    deadline = time.monotonic() + _TIMEOUT
    while time.monotonic() < deadline:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    raise RuntimeError(f"no server listens on port {port}:\n{log.read_text()[-2000:]}")


def _stop(started: "subprocess.Popen[bytes]") -> None:
    started.send_signal(signal.SIGTERM)
    try:
        started.wait(_TIMEOUT)
    except subprocess.TimeoutExpired:
        os.killpg(started.pid, signal.SIGKILL)
        started.wait()
