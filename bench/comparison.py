"""Compares Waybill with the peers: sustained, in bursts, and at a constant rate."""

import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from bench import callbacks, constant_rate, load, plan
from bench.callbacks import SentMessage
from bench.candidates import Candidate
from bench.databases import Databases
from bench.peers.running import Guide, TaskPerCallback
from bench.report import Row, medians
from bench.rounds import InvalidResult, Round, Work, alternate
from bench.waybill import Waybill

_GUIDE_SECONDS = 15.0  # at the constant rate; the memory of the guide is not measured
# The fastest candidate accepted a sixteenth of what one thread signs, on any machine. A candidate
# that uses up all callbacks stops early, and the report says so.
_ACCEPTED_OF_SIGNED = 1 / 10
_SAMPLE = 1_000  # messages signed to measure the rate


def prepare(directory: Path, seconds: float, burst: float) -> Work:
    """Sign enough callbacks for a round. Its first `burst` seconds count as a burst."""
    requests = directory / "callbacks"
    rate = _sign(callbacks.make_messages(_SAMPLE), requests) * _ACCEPTED_OF_SIGNED
    messages = callbacks.make_messages(int(seconds * rate / len(callbacks.STATUSES)))
    _sign(messages, requests)
    return Work(messages, requests, seconds, burst)


def _sign(messages: Sequence[SentMessage], requests: Path) -> float:
    """Write all callbacks of these messages; return callbacks signed per second."""
    start = time.perf_counter()
    signed = load.write(requests, map(callbacks.http_request, callbacks.callbacks(messages)))
    return signed / (time.perf_counter() - start)


def candidates(missing: Mapping[str, str]) -> Sequence[Candidate]:
    """Return the candidates that can run on this machine, Waybill first."""
    guide = () if {"node", "npm"} & {*missing} else (Guide(),)
    return (Waybill(), *guide, TaskPerCallback())


def long_rounds(
    databases: Databases, work: Work, missing: Mapping[str, str]
) -> Iterator[Round | InvalidResult]:
    """Yield a long round of Waybill and of the guide; it begins with a burst."""
    yield from alternate(candidates(missing)[:-1], databases, work, 1)


def short_task_round(databases: Databases, work: Work) -> Iterator[Round | InvalidResult]:
    """Yield a short round of the peer that cannot keep up: its backlog only grows."""
    yield from alternate([TaskPerCallback()], databases, work.shortened(work.seconds / 10), 1)


def bursts(
    databases: Databases, work: Work, missing: Mapping[str, str], rounds: int
) -> Iterator[Round | InvalidResult]:
    """Yield more bursts of Waybill and the guide, alternating."""
    yield from alternate(candidates(missing)[:-1], databases, work.shortened(work.burst), rounds)


def sustained_rows(rounds: Sequence[Round]) -> Iterator[Row]:
    """Yield the sustained rates of each candidate, and the ratios."""
    by_name = medians(rounds)
    for name, figures in by_name.items():
        yield Row(f"{name}: callbacks accepted, sustained", figures["accepted"])
        yield Row(f"{name}: callbacks recorded, sustained", figures["recorded"])
        yield Row(f"{name}: cores used by wrk", figures["wrk_cores"], "")
    if "waybill" not in by_name:
        return
    waybill = by_name["waybill"]
    backlog = waybill["recorded_in"] - waybill["seconds"]
    yield Row(
        "sustained: backlog at the end, in seconds of work",
        backlog,
        "s",
        plan.BACKLOG_SECONDS,
        at_most=True,
    )
    targets = {"guide": plan.SUSTAINED_OVER_GUIDE, "task per callback": plan.SUSTAINED_OVER_TASKS}
    for name, target in targets.items():
        if name in by_name:
            ratio = waybill["recorded"] / by_name[name]["recorded"]
            yield Row(f"sustained: recorded, Waybill / {name}", ratio, "x", target)


def burst_rows(rounds: Sequence[Round]) -> Iterator[Row]:
    """Yield the rates in bursts, including the first seconds of long rounds."""
    by_name = medians(rounds)
    for name, figures in by_name.items():
        yield Row(f"{name}: callbacks accepted, burst", figures["burst"])
        yield Row(f"{name}: answer p50, 64 connections", figures["p50_ms"], "ms")
        yield Row(f"{name}: answer p99, 64 connections", figures["p99_ms"], "ms")
    if {"waybill", "guide"} <= {*by_name}:
        ratio = by_name["waybill"]["burst"] / by_name["guide"]["burst"]
        yield Row("burst: accepted, Waybill / guide", ratio, "x", plan.BURST_OVER_GUIDE)


def steady_rows(databases: Databases, seconds: float, missing: Mapping[str, str]) -> Iterator[Row]:
    """Yield latency and memory at 1,000 callbacks/s. Raises InvalidResult."""
    guide_ms = None
    for guide in candidates(missing)[1:-1]:
        guide_ms = constant_rate.answers(guide, databases, min(seconds, _GUIDE_SECONDS)).p99_ms
        yield Row("guide: answer p99 at 1,000/s, open loop", guide_ms, "ms")
    result, after = constant_rate.waybill(databases, seconds), f"after {seconds:.0f} s"
    for name, value, unit, limit in (
        ("answer p99 at 1,000/s, open loop", result.answer_p99_ms, "ms", guide_ms),
        ("callback visible p99 at 1,000/s", result.visible_p99_ms, "ms", plan.VISIBLE_MS),
        (f"memory of a web process {after}", result.memory.web, "MB", plan.WEB_MB),
        (f"memory of a worker {after}", result.memory.worker, "MB", plan.WORKER_MB),
        ("memory growth in the second half", result.growth, "MB", plan.GROWN_MB),
    ):
        yield Row(name, value, unit, limit, at_most=True)
