"""Checks the claims about outages by two witnesses: Waybill and the simulated provider."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from service.domain.status import FINAL
from service.errors import OUTCOME_UNKNOWN
from tests.chaos.claims import Claim, none
from tests.chaos.outages.evidence import Evidence, code, created, deadline, is_short, wait
from tests.chaos.outages.plan import FAILOVER, HANGING, PENDING, Plan
from tests.chaos.outages.schedule import HANGS

# Calls that may be refused while an account is blocked: those that began before its first answer
# was recorded, a few for each thread of a send worker and again after a kill, and the probes.
_REFUSED: Final = 100
# Calls of a send worker at a time: WORKER_CONCURRENCY.
_IN_FLIGHT: Final = 16
# Seconds that a message may need from its post to the mobile network, on a busy machine.
_OVERHEAD: Final = 30.0
# A message that was tried before waits for the end of its backoff.
_LONGEST_BACKOFF: Final = 60.0


def judge(plan: Plan, evidence: Evidence) -> list[Claim]:
    """Return all claims, the broken ones with examples."""
    return [
        *_fates(plan, evidence),
        *_deadlines(evidence),
        *_calls(evidence),
        *_failover(plan, evidence),
        *_hanging(plan, evidence),
    ]


def is_unfinished(message: Mapping[str, Any]) -> bool:
    """Tell whether the fate of a message is still open."""
    return message["status"] not in FINAL


def _fates(plan: Plan, evidence: Evidence) -> Iterable[Claim]:
    by_status = defaultdict(list)
    for message in evidence.shown:
        by_status[message["status"]].append(message)
    failed = [*by_status["failed"], *by_status["undelivered"]]
    # A worker was killed during the call, and then the deadline passed: whether the message was
    # sent stays unknown.
    unknown = [entry for entry in failed if code(entry) == OUTCOME_UNKNOWN and is_short(entry)]
    failed = [entry for entry in failed if entry not in unknown]
    twice = [entry for entry in evidence.shown if len(evidence.on_air(entry)) > 1]
    posted = {entry["body"] for entry in evidence.shown}
    strange = [entry["text"] for entry in evidence.sent if entry["text"] not in posted]
    differ = [entry for entry in evidence.shown if not _agree(entry, evidence)]
    yield _none("failed", failed)
    limit = _IN_FLIGHT * sum(kill.name.startswith("worker-send") for kill in plan.kills())
    yield Claim(
        f"outcome unknown: worker killed, then the deadline passed; at most {limit}",
        f"{len(unknown):,}",
        len(unknown) <= limit,
    )
    yield _none("sent twice", twice)
    yield _none("unfinished", [entry for entry in evidence.shown if is_unfinished(entry)])
    yield _none("status differs from the provider's", [*differ, *strange])
    yield Claim("delivered", f"{len(by_status['delivered']):,}")


def _deadlines(evidence: Evidence) -> Iterable[Claim]:
    late = [
        message
        for message in evidence.shown
        if any(time > deadline(message) for time in evidence.on_air(message))
    ]
    expired = [message for message in evidence.shown if message["status"] == "expired"]
    end = evidence.outages["20005"].ends_at
    pending = evidence.of(PENDING)
    dead = [message for message in pending if deadline(message) <= end]
    alive = [entry for entry in expired if not is_short(entry) or entry not in pending]
    sent = [message for message in dead if evidence.on_air(message)]
    yield Claim("expired", f"{len(expired):,}", bool(expired))
    yield _none("on the air after their deadline", late)
    yield Claim("deadline before the end of the outages", f"{len(dead):,}", bool(dead))
    yield _none("of these on the air", sent)
    yield _none("expired although their deadline was hours away", alive)
    yield from _recovery([message for message in pending if message not in dead], evidence)


def _recovery(waiting: Sequence[Mapping[str, Any]], evidence: Evidence) -> Iterable[Claim]:
    """Yield the time from the end of the outages until messages were on the air."""
    sure, doubtful = evidence.by_doubt(waiting)
    groups = {"half": sure, "all": sure, "those of killed workers": doubtful}
    end = evidence.outages["20005"].ends_at
    for name, messages in groups.items():
        times = sorted(time for entry in messages for time in evidence.on_air(entry))
        if not times:
            continue
        last = times[len(times) // 2] if name == "half" else times[-1]
        text = f"from the end of the outages until {name} are on the air"
        yield Claim(text, f"{(last - end).total_seconds():.1f} s")


def _calls(evidence: Evidence) -> Iterable[Claim]:
    for name in ("429", "429 with Retry-After"):
        count = len(evidence.refusals(name))
        yield Claim(f"calls answered with {name}", f"{count:,}", count > 0)
    count, limit = len(evidence.refusals("20005")), _REFUSED
    yield Claim(f"calls answered with 20005, at most {limit}", f"{count:,}", 0 < count <= limit)


def _failover(plan: Plan, evidence: Evidence) -> Iterable[Claim]:
    moved, end = evidence.moved(FAILOVER), evidence.outages["sinch"].ends_at
    start = min(evidence.refusals("sinch"), default=end)
    first = min(
        (evidence.on_air(entry)[0] for entry in moved if evidence.on_air(entry)), default=end
    )
    sure, doubtful = evidence.by_doubt(evidence.of(FAILOVER))
    late = [wait(entry, evidence) for entry in sure if first <= created(entry) < end]
    early = [wait(entry, evidence) for entry in sure if created(entry) < first]
    yield Claim("messages that the second provider took", f"{len(moved):,}", bool(moved))
    limit = plan.failover_after + _OVERHEAD
    seconds = (first - start).total_seconds()
    yield Claim(
        f"the second provider began after, at most {limit:g} s", f"{seconds:.1f} s", seconds < limit
    )
    longest = max(late, default=0.0)
    yield Claim(
        f"longest wait of those posted from then on, at most {_OVERHEAD:g} s",
        f"{longest:.1f} s",
        bool(late) and longest < _OVERHEAD,
    )
    longest, limit = max(early, default=0.0), plan.failover_after + _LONGEST_BACKOFF
    yield Claim(
        f"longest wait of those posted before, at most {limit:g} s",
        f"{longest:.1f} s",
        longest < limit,
    )
    longest = max((wait(entry, evidence) for entry in doubtful), default=0.0)
    yield Claim("longest wait of those of killed workers", f"{longest:.1f} s, {len(doubtful):,}")


def _hanging(plan: Plan, evidence: Evidence) -> Iterable[Claim]:
    hung = sum(evidence.outages[name].answered for name in HANGS)
    yield Claim("calls without an answer", f"{hung:,}", hung >= plan.hanging)
    yield _none("moved after a call without an answer", evidence.moved(HANGING))


def totals(evidence: Evidence) -> Counter[str]:
    """Count the messages by group and status."""
    return Counter(f"{entry['body'].split()[0]}: {entry['status']}" for entry in evidence.shown)


def _none(name: str, broken: Sequence[object]) -> Claim:
    return none(name, broken, _described)


def _described(broken: object) -> str:
    if not isinstance(broken, Mapping):
        return str(broken)
    fields = ("id", "body", "status", "created_at", "expires_at", "provider", "account")
    return " ".join(str(broken[name]) for name in fields)


def _agree(message: Mapping[str, Any], evidence: Evidence) -> bool:
    """Compare the status of one message with the provider's records."""
    entries = evidence.by_text[message["body"]]
    if message["status"] == "delivered":
        return [entry["status"] for entry in entries] == ["delivered"]
    return not evidence.on_air(message)
