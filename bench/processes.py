"""Processes of the peers: started here, each ended by its own process id."""

import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

_PATIENCE: Final = 30.0


@contextmanager
def process(command: Sequence[str], environment: Mapping[str, str], log: Path) -> Iterator[int]:
    """Run a process, its output in `log`; yield its id."""
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
        _end(started)


def await_port(port: int, log: Path) -> None:
    """Wait until somebody listens. Raises RuntimeError, with the log, when nobody does."""
    until = time.monotonic() + _PATIENCE
    while time.monotonic() < until:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    raise RuntimeError(f"nobody listens on port {port}:\n{log.read_text()[-2000:]}")


def _end(started: "subprocess.Popen[bytes]") -> None:
    started.send_signal(signal.SIGTERM)
    try:
        started.wait(_PATIENCE)
    except subprocess.TimeoutExpired:
        os.killpg(started.pid, signal.SIGKILL)
        started.wait()
