"""Measure Waybill and two other designs on this machine: `python -m bench`."""

import argparse
import signal
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from types import FrameType

from bench import prerequisites, report
from bench.benchmark import INVALID, NEED_WRK, PARTS, Benchmark
from bench.databases import databases
from bench.machine import described
from bench.plan import DEFAULT, QUICK


def main() -> int:
    """Return the exit status: 0 when every result is valid, also if it misses its target."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="short rounds, one of each")
    parser.add_argument(
        "--steady", type=float, metavar="SECONDS", help="duration of the part `steady`"
    )
    parser.add_argument(
        "--only", choices=PARTS, action="append", help="run only this part; may be repeated"
    )
    parser.add_argument(
        "--base",
        type=Path,
        metavar="DIRECTORY",
        help="the code of an earlier commit, with which the parts `record` and `inbox` compare",
    )
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, _interrupt)
    missing = prerequisites.missing()
    for name, how in missing.items():
        print(f"{name} is not installed; its parts are skipped. To install it: {how}")
    started = time.monotonic()
    plan = QUICK if options.quick else DEFAULT
    if options.steady:
        plan = plan._replace(steady=options.steady)
    result = _run(Benchmark(plan, missing, options.base), missing, options.only or PARTS)
    report.save(result)
    print(
        f"\n{report.markdown(result)}\nFinished in {(time.monotonic() - started) / 60:.1f} minutes"
    )
    return 1 if any(note.startswith(INVALID) for note in result.notes) else 0


def _run(run: Benchmark, missing: Mapping[str, str], parts: Sequence[str]) -> report.Result:
    facts, plan = described(missing), run.plan._asdict()
    facts["plan"] = ", ".join(f"{name} {length:g}" for name, length in plan.items())
    with ExitStack() as resources:
        server = None
        if "PostgreSQL" not in missing:
            server = resources.enter_context(databases())
            facts |= {f"PostgreSQL {name}": value for name, value in server.settings().items()}
        if "npm" not in missing:
            prerequisites.install_guide()
        for part in parts:
            if server is not None and ("wrk" not in missing or part not in NEED_WRK):
                run.take(getattr(run, part), server)
            if part == "drain":
                run.take(run.drain, None)
    skipped = [f"not installed, its parts are skipped: {name}" for name in missing]
    return report.Result(facts, run.rows, run.rounds, [*run.notes, *skipped])


def _interrupt(_signal: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt  # so that every server is stopped


if __name__ == "__main__":
    sys.exit(main())
