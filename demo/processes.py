"""Starts and stops processes by their process id, with their output in log files."""

import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

_BIN: Final = Path(sys.executable).parent
_STOP_TIMEOUT: Final = 30.0


def start_process(
    name: str, command: Sequence[str], environment: Mapping[str, str], directory: Path
) -> "subprocess.Popen[bytes]":
    """Start a command of this virtual environment; append its output to NAME.log."""
    with (directory / f"{name}.log").open("ab") as log:
        return subprocess.Popen(
            [str(_BIN / command[0]), *command[1:]],
            env=dict(environment),
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # Ctrl-C reaches only this process, which stops the others
        )


def stop_process(process: "subprocess.Popen[bytes]") -> None:
    """Stop a process with SIGTERM, after a time-out with SIGKILL."""
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
    try:
        process.wait(_STOP_TIMEOUT)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def run_command(command: Sequence[str], environment: Mapping[str, str]) -> str:
    """Run a command of this virtual environment; return its output. Raises RuntimeError."""
    result = subprocess.run(
        [str(_BIN / command[0]), *command[1:]],
        env=dict(environment),
        capture_output=True,
        text=True,
        check=False,
    )
    if result.returncode:
        raise RuntimeError(f"{' '.join(command)} failed:\n{result.stderr}")
    return result.stdout.strip()


def lower_priority(pid: int, niceness: int) -> None:
    """Set the niceness of a process.

    With `autogroup`, see sched(7), the niceness of the session counts, else that of the process.
    """
    with suppress(OSError):
        os.setpriority(os.PRIO_PROCESS, pid, niceness)
        Path(f"/proc/{pid}/autogroup").write_text(str(niceness))
