"""Measures the memory of a stack's processes."""

from pathlib import Path
from typing import Final, NamedTuple

from demo.stack import Stack

_PAGE_MB: Final = 4096 / 1_000_000
_WORKERS: Final = ("worker-send", "worker-status")


class Memory(NamedTuple):
    """Resident memory of the largest process of each kind, in MB."""

    web: float
    worker: float

    def growth_since(self, before: "Memory") -> float:
        """Return the larger growth of the two kinds, in MB."""
        return max(self.web - before.web, self.worker - before.worker)


def measure(stack: Stack) -> Memory:
    """Measure the processes of a running stack."""
    web = max(map(_resident, _process_tree(stack.pid("web"))))
    workers = [pid for name in _WORKERS for pid in _process_tree(stack.pid(name))]
    return Memory(web, max(map(_resident, workers)))


def _process_tree(pid: int) -> list[int]:
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [pid, *(pid for child in children for pid in _process_tree(int(child)))]


def _resident(pid: int) -> float:
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * _PAGE_MB
