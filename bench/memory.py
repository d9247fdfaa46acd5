"""How much memory the processes of a stack hold."""

from pathlib import Path
from typing import Final, NamedTuple

from demo.stack import Stack

_PAGE_MB: Final = 4096 / 1_000_000
_WORKERS: Final = ("worker-send", "worker-status")


class Memory(NamedTuple):
    """Megabytes of the largest process of each kind."""

    web: float
    worker: float

    def grown_since(self, before: "Memory") -> float:
        """Return by how much the one that grew most did."""
        return max(self.web - before.web, self.worker - before.worker)


def held_by(stack: Stack) -> Memory:
    """Look at the processes of a running stack."""
    web = max(_resident(one) for one in _family(stack.pid("web")))
    workers = [pid for name in _WORKERS for pid in _family(stack.pid(name))]
    return Memory(web, max(map(_resident, workers)))


def _family(pid: int) -> list[int]:
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [pid, *(one for child in children for one in _family(int(child)))]


def _resident(pid: int) -> float:
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * _PAGE_MB
