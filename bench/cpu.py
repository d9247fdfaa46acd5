"""Measures the CPU time of processes, in user mode and in the kernel."""

import os
from pathlib import Path
from typing import Final

_TICK: Final = 1.0 / os.sysconf("SC_CLK_TCK")
# Fields of /proc/PID/stat, see proc(5): of the process, then of its children that have ended.
_TIMES: Final = slice(11, 15)


def seconds(pid: int) -> float:
    """Return the seconds of a process, and of all its children."""
    stat = Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2].split()
    own = sum(map(int, stat[_TIMES])) * _TICK
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return own + sum(_seconds_or_zero(int(child)) for child in children)


def _seconds_or_zero(pid: int) -> float:
    try:
        return seconds(pid)
    except (FileNotFoundError, ProcessLookupError):  # ended just now, before or while it is read
        return 0.0  # its parent counts it next time
