"""Compares what recording costs: before webhooks, without an endpoint, and with one.

Each measurement is a process of its own; the variants alternate, so that other work on the machine
disturbs all alike. CPU time is compared, not wall time.
"""

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from statistics import median
from typing import Final, NamedTuple

from bench import plan as targets
from bench.callbacks import BASE_URL
from bench.databases import Databases
from bench.report import Row
from bench.rounds import scratch
from demo.servers import redis_server
from demo.stack import ACCOUNT, SENDER, TOKEN

_ROOT: Final = Path(__file__).parents[1]
_SCRIPT: Final = Path(__file__).with_name("recording.py")
BASE: Final = "base"
_ENDPOINTS: Final = ("none", "final", "all")
#: The variants in words.
NAMES: Final = {
    BASE: "before webhooks",
    "none": "no endpoint",
    "final": "an endpoint for each final status",
    "all": "an endpoint for each change",
}


class Cost(NamedTuple):
    """Microseconds of CPU time of one callback."""

    worker: float
    postgresql: float


def costs(
    databases: Databases, base: Path | None, messages: int, rounds: int
) -> Iterator[dict[str, Cost]]:
    """Yield the cost of each variant, round by round; `base` has the code before webhooks."""
    trees = {**({BASE: base} if base else {}), **dict.fromkeys(_ENDPOINTS, _ROOT)}
    with ExitStack() as resources:
        redis = resources.enter_context(redis_server(resources.enter_context(scratch()) / "redis"))
        environments = {}
        for name, tree in trees.items():
            database = resources.enter_context(databases.fresh())
            environments[name] = environment_of(tree, database, redis.url)
            run_in(tree, environments[name], "-m", "flask", "--app", "service.app", "db", "upgrade")
        for number in range(rounds):
            order = [*trees] if number % 2 else [*reversed(trees)]
            postgres = str(databases.server.get_pid())
            arguments = ("-P", str(_SCRIPT), str(messages))
            yield {
                name: Cost(
                    *json.loads(run_in(trees[name], environments[name], *arguments, name, postgres))
                )
                for name in order
            }


def rows(databases: Databases, base: Path | None, messages: int, rounds: int) -> Iterator[Row]:
    """Yield the cost of each variant, and its ratio to the first."""
    results = list(costs(databases, base, messages, rounds))
    for name in results[0]:
        times = [sum(each[name]) for each in results]
        yield Row(f"CPU time of a callback, {NAMES[name]}", median(times), "µs", rounds=times)
    first = BASE if base else "none"
    limits = {"none": targets.EVENTS, "final": targets.WEBHOOKS, "all": None}
    for name, limit in limits.items():
        ratios = [sum(each[name]) / sum(each[first]) for each in results]
        text = f"recording, {NAMES[name]} / {NAMES[first]}"
        if name != first:
            yield Row(text, median(ratios), "x", limit, ratios, at_most=True)


def environment_of(tree: Path, database: str, redis: str) -> dict[str, str]:
    """Return the settings of a process that records in a tree of code."""
    return {
        **os.environ,
        "PYTHONPATH": str(tree),
        "DATABASE_URL": database,
        "REDIS_URL": redis,
        "PUBLIC_BASE_URL": BASE_URL,
        "TWILIO_ACCOUNT_SID": ACCOUNT,
        "TWILIO_AUTH_TOKEN": TOKEN,
        "TWILIO_PHONE_NUMBER": SENDER,
        "LOG_LEVEL": "WARNING",
        "WEBHOOK_ALLOW_HTTP": "true",
        "WEBHOOK_NETWORKS": "127.0.0.0/8",
    }


def run_in(tree: Path, environment: Mapping[str, str], *arguments: str) -> str:
    """Run Python in a tree; return its output. Raises RuntimeError."""
    result = subprocess.run(
        [sys.executable, *arguments],
        cwd=tree,
        env=dict(environment),
        capture_output=True,
        text=True,
        check=False,
    )
    if result.returncode:
        raise RuntimeError(f"{' '.join(arguments)} failed in {tree}:\n{result.stderr}")
    return result.stdout
