"""How much memory each process holds after it has worked for a while."""

import time
from pathlib import Path
from typing import Final, NamedTuple

from bench import steady
from bench.databases import Databases
from bench.rounds import scratch
from bench.waybill import ServingWaybill, Waybill

_PAGE_MB: Final = 4096 / 1_000_000
_WORKERS: Final = ("worker-send", "worker-status")


class Memory(NamedTuple):
    """Megabytes of the largest process of each kind, and how much they grew in the second half."""

    web: float
    worker: float
    grew: float


def memory(databases: Databases, seconds: float) -> Memory:
    """Work at the steady rate, and look halfway and at the end."""
    with scratch() as directory, databases.fresh() as database:
        requests, messages = steady.prepared(directory, seconds)
        with (
            Waybill().serving(directory, database, messages) as serving,
            steady.paced(serving, requests, seconds) as process,
        ):
            time.sleep(seconds / 2)
            halfway = _largest(serving)
            steady.seen_by(process)
            web, worker = _largest(serving)
            return Memory(web, worker, max(web - halfway[0], worker - halfway[1]))


def _largest(serving: ServingWaybill) -> tuple[float, float]:
    web = max(_resident(one) for one in _family(serving.stack.pid("web")))
    workers = [pid for name in _WORKERS for pid in _family(serving.stack.pid(name))]
    return web, max(map(_resident, workers))


def _family(pid: int) -> list[int]:
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [pid, *(one for child in children for one in _family(int(child)))]


def _resident(pid: int) -> float:
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * _PAGE_MB
