"""Compares what a callback costs: with an earlier commit, with one stream, and on a cluster.

Each measurement is a process of its own; the variants alternate, so that other work on the machine
disturbs all alike. CPU time is compared, not wall time.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from statistics import median
from typing import Final, NamedTuple

from bench import plan as targets
from bench.databases import Databases
from bench.recording_cost import environment_of, run_in
from bench.report import Row
from bench.rounds import scratch
from demo.servers import redis_server
from tests.cluster.redis_cluster import redis_cluster

_ROOT: Final = Path(__file__).parents[1]
_SCRIPT: Final = Path(__file__).with_name("storing.py")
BASE: Final = "base"
ONE: Final = "one"
CLUSTER: Final = "cluster"
#: The variants in words.
NAMES: Final = {
    BASE: "one stream, earlier commit",
    ONE: "one stream",
    CLUSTER: "16 streams on a cluster of three",
}
STREAMS: Final = 16
REPLICAS: Final = "replicas"


class Variant(NamedTuple):
    """A tree of code, its environment, and the process ids of its servers by name."""

    tree: Path
    environment: Mapping[str, str]
    servers: Mapping[str, Sequence[int]]


def costs(
    databases: Databases, base: Path | None, count: int, rounds: int
) -> Iterator[dict[str, dict[str, float]]]:
    """Yield microseconds of CPU time by variant and process, round by round."""
    with ExitStack() as resources:
        variants = dict(_variants(resources, databases, base))
        for each in variants.values():
            run_in(each.tree, each.environment, "-m", "flask", "--app", "service.app", *_UPGRADE)
        for number in range(rounds):
            order = [*variants] if number % 2 else [*reversed(variants)]
            yield {name: _measure(variants[name], count) for name in order}


def rows(databases: Databases, base: Path | None, count: int, rounds: int) -> Iterator[Row]:
    """Yield the cost of each variant by process, and the ratios."""
    results = list(costs(databases, base, count, rounds))
    for variant in results[0]:
        for process in results[0][variant]:
            times = [each[variant][process] for each in results]
            name = f"callback, {NAMES[variant]}: CPU time of {process}"
            yield Row(name, median(times), "µs", rounds=times)
    limits = {(ONE, BASE): targets.ONE_STREAM, (CLUSTER, ONE): targets.CLUSTER}
    for (variant, other), limit in limits.items():
        if other in results[0]:
            ratios = [total(each[variant]) / total(each[other]) for each in results]
            name = f"callback, {NAMES[variant]} / {NAMES[other]}"
            yield Row(name, median(ratios), "x", limit, ratios, at_most=True)


def total(cost: Mapping[str, float]) -> float:
    """Return the cost in all processes but the replicas, which one server has not."""
    return sum(each for process, each in cost.items() if process != REPLICAS)


_UPGRADE: Final = ("db", "upgrade")


def _variants(
    resources: ExitStack, databases: Databases, base: Path | None
) -> Iterator[tuple[str, Variant]]:
    directory = resources.enter_context(scratch())
    redis = resources.enter_context(redis_server(directory / "redis"))
    cluster = resources.enter_context(redis_cluster(directory / "cluster"))
    postgres = {"PostgreSQL": [int(databases.server.get_pid())]}
    one = {"Redis": [redis.pid], **postgres}
    masters = {node.pid for node in cluster.masters}
    several = {
        "Redis": [*masters, redis.pid],
        REPLICAS: [node.pid for node in cluster.nodes if node.pid not in masters],
        **postgres,
    }
    for name, tree, servers, settings in (
        *([(BASE, base, one, {})] if base else ()),
        (ONE, _ROOT, one, {}),
        (CLUSTER, _ROOT, several, {"INBOX_URL": cluster.url, "INBOX_STREAMS": str(STREAMS)}),
    ):
        database = resources.enter_context(databases.fresh())
        yield name, Variant(tree, environment_of(tree, database, redis.url) | settings, servers)


def _measure(variant: Variant, count: int) -> dict[str, float]:
    servers = [f"{name}={','.join(map(str, pids))}" for name, pids in variant.servers.items()]
    output = run_in(variant.tree, variant.environment, "-P", str(_SCRIPT), str(count), *servers)
    result: dict[str, float] = json.loads(output)
    return result
