"""`make chaos`: the long run, as a program."""

import argparse
import random
import sys
import time

from tests.chaos import plan as plans
from tests.chaos.run import run


def main() -> int:
    """Return the exit status: 0 when every promise was kept."""
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument("--seed", type=int, help="any number; without it one is drawn")
    parser.add_argument("--short", action="store_true", help="the run that is in `make test`")
    options = parser.parse_args()
    seed = options.seed if options.seed is not None else random.SystemRandom().randrange(10**6)
    result = run((plans.short if options.short else plans.long)(seed), _say)
    print(f"\nseed {seed}, {result.seconds:.0f} s")
    for name, count in result.totals.items():
        print(f"  {count:>7}  {name}")
    found = result.verdict
    print(f"on the air twice: {len(found.twice)} {found.twice[:10]}")
    print(f"acknowledged and not in the ledger: {len(found.missing)} {found.missing[:10]}")
    print(f"  gone with Redis's file: {len(found.with_the_file)}")
    print(f"shown otherwise than the carrier says: {len(found.different)} {found.different[:10]}")
    print(f"left unsettled: {len(found.unsettled)} {found.unsettled[:10]}")
    print(result.audit)
    return 0 if found.holds() else 1


def _say(line: str) -> None:
    print(f"{time.strftime('%H:%M:%S')} {line}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
