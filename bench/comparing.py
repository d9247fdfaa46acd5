"""Waybill beside its peers: sustained, in a burst, and at a steady rate."""

import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from bench import callbacks, load, plan, steady
from bench.callbacks import Sent
from bench.candidates import Candidate
from bench.databases import Databases
from bench.peers.running import Guide, TaskPerCallback
from bench.report import Row, medians
from bench.rounds import Round, Void, Work, alternate
from bench.waybill import Waybill

_GUIDES = 15.0  # seconds of the steady load; its memory is not asked for
# Of what one thread signs the fastest of them accepted a sixteenth; a machine half as fast signs
# half as much. Whoever uses up all of them stops early, and is said to.
_ACCEPTED_OF_SIGNED = 1 / 10
_TRIED = 1_000  # messages


def work(directory: Path, seconds: float, burst: float) -> Work:
    """Sign enough callbacks for a round of this length, the first `burst` seconds of it a burst."""
    requests = directory / "callbacks"
    rate = _sign(callbacks.sent(_TRIED), requests) * _ACCEPTED_OF_SIGNED
    messages = callbacks.sent(int(seconds * rate / len(callbacks.WORDS)))
    _sign(messages, requests)
    return Work(messages, requests, seconds, burst)


def _sign(messages: Sequence[Sent], requests: Path) -> float:
    """Write all callbacks about these messages; return how many a second."""
    began = time.perf_counter()
    signed = load.write(requests, map(callbacks.wire, callbacks.callbacks(messages)))
    return signed / (time.perf_counter() - began)


def candidates(missing: Mapping[str, str]) -> Sequence[Candidate]:
    """Return who can be measured here, ours first."""
    guide = () if {"node", "npm"} & {*missing} else (Guide(),)
    return (Waybill(), *guide, TaskPerCallback())


def long_rounds(
    databases: Databases, given: Work, missing: Mapping[str, str]
) -> Iterator[Round | Void]:
    """Yield a long round of ours and of the guide; it begins with a burst."""
    yield from alternate(candidates(missing)[:-1], databases, given, 1)


def round_of_tasks(databases: Databases, given: Work) -> Iterator[Round | Void]:
    """Yield a tenth of a long round of the peer whose backlog would grow and grow."""
    yield from alternate([TaskPerCallback()], databases, given.of(given.seconds / 10), 1)


def bursts(
    databases: Databases, given: Work, missing: Mapping[str, str], rounds: int
) -> Iterator[Round | Void]:
    """Yield further bursts of ours and the guide, in turn."""
    yield from alternate(candidates(missing)[:-1], databases, given.of(given.burst), rounds)


def sustained_rows(rounds: Sequence[Round]) -> Iterator[Row]:
    """Yield what each reached over a long time, and how far ours is ahead."""
    by_name = medians(rounds)
    for name, own in by_name.items():
        yield Row(f"{name}: callbacks accepted, sustained", own["accepted"])
        yield Row(f"{name}: callbacks applied, sustained", own["applied"])
        yield Row(f"{name}: cores used by wrk", own["wrk_cores"], "")
    if "waybill" not in by_name:
        return
    ours = by_name["waybill"]
    backlog = ours["applied_in"] - ours["seconds"]
    yield Row("sustained: backlog at the end", backlog, "s", plan.BACKLOG_SECONDS, at_most=True)
    targets = {"guide": plan.SUSTAINED_OVER_GUIDE, "task per callback": plan.SUSTAINED_OVER_TASKS}
    for name, target in targets.items():
        if name in by_name:
            ratio = ours["applied"] / by_name[name]["applied"]
            yield Row(f"sustained: applied, times {name}", ratio, "x", target)


def burst_rows(rounds: Sequence[Round]) -> Iterator[Row]:
    """Yield what ours and the guide accepted in bursts, the beginning of long rounds among them."""
    by_name = medians(rounds)
    for name, own in by_name.items():
        yield Row(f"{name}: callbacks accepted, burst", own["burst"])
        yield Row(f"{name}: 99 of 100 answers, 64 connections", own["p99_ms"], "ms")
    if {"waybill", "guide"} <= {*by_name}:
        ratio = by_name["waybill"]["burst"] / by_name["guide"]["burst"]
        yield Row("burst: accepted, times guide", ratio, "x", plan.BURST_OVER_GUIDE)


def steady_rows(databases: Databases, seconds: float, missing: Mapping[str, str]) -> Iterator[Row]:
    """Yield what a thousand callbacks a second do to ours, briefly to the guide. Raises Void."""
    guides = None
    for guide in candidates(missing)[1:-1]:
        guides = steady.answers(guide, databases, min(seconds, _GUIDES)).p99_ms
        yield Row("guide: 99 of 100 answers at 1,000/s", guides, "ms")
    seen, after = steady.ours(databases, seconds), f"after {seconds:.0f} s"
    for what, figure, unit, target in (
        ("99 of 100 answers at 1,000/s, open loop", seen.answered_ms, "ms", guides),
        ("99 of 100 visible at 1,000/s", seen.visible_ms, "ms", plan.VISIBLE_MS),
        (f"memory of a web process, {after}", seen.held.web, "MB", plan.WEB_MB),
        (f"memory of a worker, {after}", seen.held.worker, "MB", plan.WORKER_MB),
        ("memory: grown in the second half", seen.grown, "MB", plan.GROWN_MB),
    ):
        yield Row(what, figure, unit, target, at_most=True)
