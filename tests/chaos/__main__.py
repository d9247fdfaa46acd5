"""Kill and freeze processes under traffic, then compare with the simulated provider."""

import argparse
import random
import sys
import time
from collections.abc import Sequence

from tests.chaos import plan as plans
from tests.chaos.run import run
from tests.chaos.verdict import Verdict


def main() -> int:
    """Return the exit status: 0 when all checks passed."""
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument("--seed", type=int, help="any number; random by default")
    parser.add_argument(
        "--short", action="store_true", help="the run of `make test-slow`, one minute"
    )
    options = parser.parse_args()
    seed = options.seed if options.seed is not None else random.SystemRandom().randrange(10**6)
    result = run((plans.short if options.short else plans.long)(seed), _log)
    print(f"\nseed {seed}, {result.seconds:.0f} s\n")
    for name, count in result.totals.items():
        print(f"{count:>8,}  {name}")
    print(f"\n{_checks(result.verdict)}\n\nflask audit:\n{result.audit}")
    return 0 if result.verdict.holds() else 1


def _checks(verdict: Verdict) -> str:
    """Return a table of the checks, with the first ten violations of each."""
    checks: dict[str, Sequence[object]] = {
        "messages repeated": verdict.repeated,
        "callbacks lost": verdict.lost,
        "messages with a wrong status": verdict.wrong_status,
        "messages unfinished": verdict.unfinished,
    }
    lines = [
        f"{len(violations):>8,}  {name:<30} {'FAILED' if violations else 'ok'}"
        for name, violations in checks.items()
    ]
    lines.append(f"{len(verdict.deleted_with_redis):>8,}  callbacks deleted with the file of Redis")
    examples = [f"{name}: {failed[:10]}" for name, failed in checks.items() if failed]
    summary = f"{len(verdict.lost)} lost, {len(verdict.repeated)} repeated"
    return "\n".join([*lines, *examples, "", summary])


def _log(text: str) -> None:
    print(f"{time.strftime('%H:%M:%S')} {text}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
