"""Measure Waybill and its peers on this machine: `python -m bench`."""

import argparse
import signal
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from types import FrameType

from bench import needs, report
from bench.databases import databases
from bench.machine import described
from bench.measuring import NEED_WRK, PARTS, Measuring
from bench.plan import QUICK, USUAL, Plan


def main() -> int:
    """Return the exit status: 0 when every round counts; a figure may fall short."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="short rounds, and one of each")
    parser.add_argument("--steady", type=float, metavar="SECONDS", help="how long the steady load")
    parser.add_argument("--only", choices=PARTS, action="append", help="this part, and no other")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, _interrupt)
    missing = needs.missing()
    for name, how in missing.items():
        print(f"{name} is missing, and what needs it is left out. To get it: {how}")
    started = time.monotonic()
    given = QUICK if options.quick else USUAL
    if options.steady:
        given = given._replace(steady=options.steady)
    result = _run(given, missing, options.only or PARTS)
    report.save(result)
    print(f"\n{report.markdown(result)}\nin {(time.monotonic() - started) / 60:.1f} minutes")
    return 1 if any(note.startswith("void") for note in result.notes) else 0


def _run(given: Plan, missing: Mapping[str, str], parts: Sequence[str]) -> report.Result:
    run, facts = Measuring(given, missing), described(missing)
    facts["lengths"] = ", ".join(f"{name} {length:g}" for name, length in given._asdict().items())
    with ExitStack() as open_things:
        server = None
        if "PostgreSQL" not in missing:
            server = open_things.enter_context(databases())
            facts |= {f"PostgreSQL {name}": said for name, said in server.settings().items()}
        if "npm" not in missing:
            needs.install_guide()
        for part in parts:
            if server is not None and ("wrk" not in missing or part not in NEED_WRK):
                run.take(getattr(run, part), server)
            if part == "drain":
                run.take(run.drain, None)
    left_out = [f"left out, for want of it: {name}" for name in missing]
    return report.Result(facts, run.rows, run.rounds, [*run.notes, *left_out])


def _interrupt(_signal: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt  # so that every server is ended


if __name__ == "__main__":
    sys.exit(main())
