"""Checks the claims about failovers by two witnesses: Waybill and the simulated provider."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from statistics import median
from typing import NamedTuple

from tests.chaos.claims import Claim, none
from tests.chaos.failovers.plan import Plan
from tests.chaos.verdict import Records, Verdict


class Recovery(NamedTuple):
    """What one event cost: the longest time, in seconds, in which each counter did not grow."""

    event: str
    pauses: Mapping[str, float]
    stuck: Sequence[str]  # counters that did not grow again before the time-out


def judge(
    plan: Plan,
    records: Records,
    verdict: Verdict,
    recoveries: Sequence[Recovery],
    exited: Sequence[str],
) -> list[Claim]:
    """Return all claims, the broken ones with examples."""
    return [
        none("sent twice", twice(records)),
        _missing(plan, verdict),
        none("messages with another status than the provider's", verdict.wrong_status),
        none("messages unfinished", verdict.unfinished),
        none("processes that exited", exited),
        none("did not go on by itself", [*_stuck(recoveries)]),
        *_pauses(recoveries),
    ]


def twice(records: Records) -> list[str]:
    """Return the texts of the messages that went on the air more than once."""
    return [text for text, entries in records.items() if sum(e["on_air"] for e in entries) > 1]


def _missing(plan: Plan, verdict: Verdict) -> Claim:
    """Return the claim about callbacks; without replicas their number is only shown."""
    name = f"acknowledged and missing, INBOX_REPLICAS={plan.replicas}"
    claim = none(name, verdict.lost)
    return claim if plan.replicas else claim._replace(holds=None)


def _stuck(recoveries: Sequence[Recovery]) -> Iterator[str]:
    for recovery in recoveries:
        for counter in recovery.stuck:
            yield f"{recovery.event}: {counter}"


def _pauses(recoveries: Sequence[Recovery]) -> Iterator[Claim]:
    """Yield the seconds without service, median and longest, by event and counter."""
    seconds = defaultdict[tuple[str, str], list[float]](list)
    for recovery in recoveries:
        for counter, pause in recovery.pauses.items():
            seconds[recovery.event, counter].append(pause)
    for (event, counter), pauses in sorted(seconds.items()):
        name = f"{event} ({len(pauses)} times), seconds without {counter}"
        yield Claim(name, f"{median(pauses):.1f}, {max(pauses):.1f}")
