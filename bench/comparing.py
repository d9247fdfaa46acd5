"""Waybill beside its peers, as rows of the table."""

from collections.abc import Iterable, Iterator, Mapping

from bench import plan
from bench.report import Row, medians
from bench.rounds import Round

_TARGETS = {"guide": plan.OVER_GUIDE, "task per callback": plan.OVER_TASKS}


def rows(rounds: Iterable[Round]) -> Iterator[Row]:
    """Yield what each candidate reached, and how far ours is ahead."""
    by_name = medians(rounds)
    for name, own in by_name.items():
        yield Row(f"{name}: callbacks accepted", own["accepted"])
        yield Row(f"{name}: callbacks applied", own["applied"])
        yield Row(f"{name}: answer, median", own["p50_ms"], "ms")
        yield Row(f"{name}: answer, 99 of 100", own["p99_ms"], "ms")
        yield Row(f"{name}: cores used by wrk", own["wrk_cores"], "")
    if "waybill" in by_name:
        yield from _ahead(by_name)


def _ahead(by_name: Mapping[str, Mapping[str, float]]) -> Iterator[Row]:
    ours = by_name["waybill"]
    for name, target in _TARGETS.items():
        for kind in ("accepted", "applied") if name in by_name else ():
            yield Row(f"{kind}, times {name}", ours[kind] / by_name[name][kind], "x", target)
