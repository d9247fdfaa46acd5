"""Compares what a callback costs: with an earlier commit, with one stream, and on a cluster.

Each measurement is a process of its own; the variants alternate, so that other work on the machine
disturbs all alike. CPU time is compared, not wall time.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Final, NamedTuple

from bench.databases import Databases
from bench.recording_cost import environment_of, run_in
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
        "replicas": [node.pid for node in cluster.nodes if node.pid not in masters],
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
