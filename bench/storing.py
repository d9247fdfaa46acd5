"""Stores and records callbacks in this process, and prints what it cost: `bench/storing.py`.

It runs with the code of another commit, too, where PYTHONPATH leads there. Arguments: the number of
callbacks, and for each kind of server its name and process ids, as `redis=17,18`.
"""

import gc
import json
import os
import sys
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Final

from flask import Flask

import service.app
from bench import callbacks
from bench.rounds import InvalidResult
from bench.stages import _post_all
from bench.waybill import fill
from service.app import create_app, tune_garbage_collector
from service.components import components
from service.config.settings import Settings
from service.recording.consume_inbox import consume_inbox

# Callbacks that are stored, then recorded: one batch of a worker, from one stream or from several.
_BATCH: Final = 2_000


def measure(
    environment: Mapping[str, str], count: int, servers: Mapping[str, Sequence[int]]
) -> dict[str, float]:
    """Return microseconds of CPU time for a callback, by process."""
    # On a busy machine a callback would else go to the database, which costs more.
    service.app._REQUEST_TIMEOUT = 5.0
    app = create_app(Settings.load(dict(environment)))
    tune_garbage_collector()
    messages = callbacks.make_messages((count + _BATCH) // len(callbacks.STATUSES))
    fill(SimpleNamespace(environment=dict(environment)), messages)  # type: ignore[arg-type]
    signed = list(callbacks.callbacks(messages))
    batches = [signed[first : first + _BATCH] for first in range(0, len(signed), _BATCH)]
    with app.app_context():
        _store_and_record(app, batches[:1])  # connects, prepares statements, creates the groups
        gc.collect()
        before = {name: _nanoseconds(pids) for name, pids in servers.items()}
        own = _store_and_record(app, batches[1:])
        used = {name: (_nanoseconds(pids) - before[name]).total() for name, pids in servers.items()}
    recorded = sum(map(len, batches[1:]))
    return {name: each / 1_000 / recorded for name, each in (own | used).items()}


def _store_and_record(app: Flask, batches: Sequence[Sequence[Any]]) -> dict[str, float]:
    """Return the nanoseconds of this process: as web server, and as worker."""
    used = {"web": 0.0, "worker": 0.0}
    for batch in batches:
        start = time.process_time_ns()
        _post_all(app, batch)
        stored = time.process_time_ns()
        if components().inbox.lag() != len(batch):
            raise InvalidResult("callbacks went to the database: is the machine too busy?")
        recorded = 0
        while recorded < len(batch):
            recorded += consume_inbox()
        used["web"] += stored - start
        used["worker"] += time.process_time_ns() - stored
    return used


def _nanoseconds(pids: Sequence[int]) -> Counter[int]:
    """Return the nanoseconds of CPU time of each thread of processes and their children."""
    times = Counter[int]()
    for pid in pids:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        for process in (pid, *map(int, children)):
            with suppress(FileNotFoundError, ProcessLookupError):
                for thread in Path(f"/proc/{process}/task").iterdir():
                    times[int(thread.name)] = int((thread / "schedstat").read_text().split()[0])
    return times


if __name__ == "__main__":
    _count, *_servers = sys.argv[1:]
    _pids = {
        name: list(map(int, pids.split(",")))
        for name, _, pids in (each.partition("=") for each in _servers)
    }
    print(json.dumps(measure(os.environ, int(_count), _pids)))
