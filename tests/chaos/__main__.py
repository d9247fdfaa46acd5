"""Cause failures under traffic, then compare Waybill with the simulated provider.

Four parts: `processes` kills and freezes them; in `outages` the providers accept nothing; in
`webhooks` the receivers of webhooks fail; in `failovers` servers of Sentinel, a cluster, RabbitMQ
and PostgreSQL are lost, and others take their place.
"""

import argparse
import random
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Final

from tests.chaos import plan, run
from tests.chaos.claims import Claim, Result
from tests.chaos.failovers import loss
from tests.chaos.failovers import plan as failover_plan
from tests.chaos.failovers import run as failover_run
from tests.chaos.outages import plan as outage_plan
from tests.chaos.outages import run as outage_run
from tests.chaos.verdict import Verdict
from tests.chaos.webhooks import plan as webhook_plan
from tests.chaos.webhooks import run as webhook_run


def main() -> int:
    """Return the exit status: 0 when all checks passed."""
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument("--seed", type=int, help="any number; random by default")
    parser.add_argument(
        "--part", choices=sorted(_PARTS), action="append", help=f"default: {', '.join(_DEFAULT)}"
    )
    parser.add_argument(
        "--short", action="store_true", help="the run of `make test-slow`, a minute for each part"
    )
    options = parser.parse_args()
    seed = options.seed if options.seed is not None else random.SystemRandom().randrange(10**6)
    passed = [_PARTS[name](seed, options.short) for name in options.part or _DEFAULT]
    return 0 if all(passed) else 1


def _processes(seed: int, short: bool) -> bool:
    result = run.run((plan.short if short else plan.long)(seed), _log)
    _print_totals("processes", seed, result.seconds, result.totals)
    print(f"\n{_checks(result.verdict)}\n\nflask audit:\n{result.audit}")
    return result.verdict.holds()


def _outages(seed: int, short: bool) -> bool:
    result = outage_run.run((outage_plan.short if short else outage_plan.long)(seed), _log)
    return _claims("outages", seed, result)


def _webhooks(seed: int, short: bool) -> bool:
    result = webhook_run.run((webhook_plan.short if short else webhook_plan.long)(seed), _log)
    return _claims("webhooks", seed, result)


def _failovers(seed: int, short: bool) -> bool:
    passed = list[bool]()
    failovers = failover_plan.SHORT_LOSS if short else failover_plan.LONG_LOSS
    for replicas in (0, 1):
        result = loss.run(replicas, failovers)
        passed.append(_claims(f"lost with a master, INBOX_REPLICAS={replicas}", seed, result))
    for each in (failover_plan.short if short else failover_plan.long)(seed):
        name = f"failovers: {each.installation}, INBOX_REPLICAS={each.replicas}"
        passed.append(_claims(name, seed, failover_run.run(each, _log)))
    return all(passed)


_PARTS: Final[Mapping[str, Callable[[int, bool], bool]]] = {
    "processes": _processes,
    "outages": _outages,
    "webhooks": _webhooks,
    "failovers": _failovers,
}
# The other one needs RabbitMQ.
_DEFAULT: Final = ("processes", "outages", "webhooks")


def _claims(part: str, seed: int, result: Result) -> bool:
    """Print the claims of a run; return whether none is broken."""
    _print_totals(part, seed, result.seconds, result.totals)
    print("\n" + "\n".join(map(_claim, result.claims)))
    if result.audit:
        print(f"\nflask audit:\n{result.audit}")
    return result.holds()


def _print_totals(part: str, seed: int, seconds: float, totals: Mapping[str, int]) -> None:
    print(f"\n{part}: seed {seed}, {seconds:.0f} s\n")
    for name, count in sorted(totals.items()):
        print(f"{count:>8,}  {name}")


def _claim(claim: Claim) -> str:
    """Return the line of one claim, with examples of what breaks it."""
    result = {None: "", True: "ok", False: "FAILED"}[claim.holds]
    line = f"{claim.value:>8}  {claim.name:<70} {result}".rstrip()
    return "\n".join([line, *(f"          {example}" for example in claim.examples)])


def _checks(verdict: Verdict) -> str:
    """Return a table of the checks, with the first ten violations of each."""
    checks: dict[str, Sequence[object]] = {
        "messages repeated": verdict.repeated,
        "callbacks lost": verdict.lost,
        "messages with a wrong status": verdict.wrong_status,
        "messages unfinished": verdict.unfinished,
        "inbound messages lost": verdict.inbound.lost,
        "inbound messages not found in lists": verdict.inbound.missed,
        "inbound messages recorded twice": verdict.inbound.twice,
        "inbound messages without writer": verdict.inbound.unknown,
        "opt-outs wrong": verdict.inbound.wrong_opt_outs,
        "messages after STOP or START wrong": verdict.inbound.wrong_suppressed,
    }
    lines = [
        f"{len(violations):>8,}  {name:<36} {'FAILED' if violations else 'ok'}"
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
