"""Records callbacks in this process, and prints what it cost: `python bench/recording.py`.

It runs with the code of another commit, too, where PYTHONPATH leads there. Arguments: the number of
messages, the endpoint (`base`: of a commit without webhooks; `none`, `final`, `all`), and the
process id of PostgreSQL.
"""

import gc
import json
import os
import sys
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Final

from bench import callbacks
from bench.waybill import fill
from service.app import create_app, tune_garbage_collector
from service.components import components
from service.config.settings import Settings
from service.database import db
from service.providers.base import Callback
from service.recording import record as recording

_BATCH: Final = 500
#: Statuses of the endpoint, by the second argument.
_STATUSES: Final[Mapping[str, Sequence[str]]] = {
    "final": ["delivered", "undelivered", "failed"],
    "all": ["queued", "sending", "sent", "delivered"],
}


def measure(environment: Mapping[str, str], count: int, statuses: str, postgres: int) -> Any:
    """Return microseconds of CPU time for a callback: of this process, and of PostgreSQL."""
    app = create_app(Settings.load(dict(environment)))
    tune_garbage_collector()
    with app.app_context():
        _record(_reports(environment, _BATCH))  # connects, and prepares statements
        _prepare(statuses)
        _record(_reports(environment, _BATCH))
        reports = _reports(environment, count)
        gc.collect()
        own, before = time.process_time_ns(), _postgres_ns(postgres)
        _record(reports)
        own, after = time.process_time_ns() - own, _postgres_ns(postgres)
    recorded = 1_000 * sum(map(len, reports))
    return [own / recorded, (after - before).total() / recorded]


def _prepare(statuses: str) -> None:
    """Delete the endpoint of the run before, and create one, unless there shall be none."""
    if statuses == "base":
        return
    from service.models import WebhookEndpoint  # not in the commit before webhooks
    from service.webhooks.endpoints import create

    db.session.execute(db.update(WebhookEndpoint).values(deleted_at=datetime.now(UTC)))
    db.session.commit()
    if statuses != "none":
        new = {
            "url": "http://127.0.0.1:9/",
            "description": None,
            "types": ["message.updated"],
            "statuses": _STATUSES[statuses],
            "include_body": False,
        }
        create(1, new)


def _record(reports: Sequence[Sequence[Any]]) -> None:
    for batch in reports:
        recording.record(batch)


def _reports(environment: Mapping[str, str], count: int) -> list[list[Any]]:
    """Add messages; return the reports about them, in batches with one report of each message."""
    messages = callbacks.make_messages(count)
    fill(SimpleNamespace(environment=dict(environment)), messages)  # type: ignore[arg-type]
    parse, now = components().providers["twilio"].parse, datetime.now(UTC)
    reports = [
        parse(Callback("twilio", each.path.rpartition("/")[2], each.body, now))
        for each in callbacks.callbacks(messages)
    ]
    return [reports[first : first + _BATCH] for first in range(0, len(reports), _BATCH)]


def _postgres_ns(pid: int) -> Counter[int]:
    """Return the nanoseconds of CPU time of each process of PostgreSQL, see proc(5)."""
    children = map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split())
    times = Counter[int]()
    for process in (pid, *children):
        with suppress(FileNotFoundError):
            times[process] = int(Path(f"/proc/{process}/schedstat").read_text().split()[0])
    return times


if __name__ == "__main__":
    _count, _kind, _postgres = sys.argv[1:]
    print(json.dumps(measure(os.environ, int(_count), _kind, int(_postgres))))
