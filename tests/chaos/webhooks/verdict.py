"""Checks the claims about webhooks by two witnesses: the feed and the books of the receivers."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from service.domain.status import FINAL, UNREPORTED
from tests.chaos.claims import Claim, none
from tests.chaos.webhooks.books import Request
from tests.chaos.webhooks.evidence import Evidence, added_at
from tests.chaos.webhooks.plan import (
    DOWN_RECEIVER,
    ENDPOINTS,
    GONE,
    NARROW,
    RETRY_AFTER,
    STEADY,
    THROTTLING,
)

# Of a message, only endpoints that ask for it get the content.
_CONTENT: Final = frozenset({"body", "media_urls", "content_variables"})
# Seconds after a 429 in which calls that had begun before, or that another worker had claimed,
# may still arrive.
_UNDER_WAY: Final = 1.0


def judge(evidence: Evidence) -> list[Claim]:
    """Return all claims, the broken ones with examples."""
    return [
        *_messages(evidence),
        *_feed(evidence),
        *_arrivals(evidence),
        *_contents(evidence),
        *_failing(evidence),
        *_times(evidence),
    ]


def missing(evidence: Evidence) -> int:
    """Return how many owed events receivers did not take."""
    return sum(len(evidence.missing(name)) for name in ENDPOINTS)


def totals(evidence: Evidence) -> Counter[str]:
    """Count the requests by receiver and by what it did."""
    return Counter(f"{request.receiver}: {request.habit}" for request in evidence.requests)


def _messages(evidence: Evidence) -> Iterator[Claim]:
    posted, shown = sum(evidence.posted.values()), evidence.shown.values()
    yield Claim("messages accepted", f"{posted:,}", posted == len(shown))
    open_ = [message["id"] for message in shown if message["status"] not in FINAL]
    yield none("messages unfinished", open_)


def _feed(evidence: Evidence) -> Iterator[Claim]:
    events = [event for feed in evidence.feeds.values() for event in feed]
    ids = [event["id"] for event in events]
    yield Claim("events in the feeds", f"{len(ids):,}", bool(ids))
    yield none("events in the database and not in a feed", sorted({*evidence.statuses} - {*ids}))
    yield none("events twice in a feed", _repeated(ids))
    told = {event["data"]["id"] for event in events}
    changed = [each for each in evidence.shown.values() if each["status"] not in UNREPORTED]
    silent = [message["id"] for message in changed if message["id"] not in told]
    yield none("changed messages without an event", silent)
    differ = [name for name, seen in evidence.followed.items() if seen != _ids(evidence, name)]
    yield none("readers who followed a feed and saw other events, or another order", differ)


def _arrivals(evidence: Evidence) -> Iterator[Claim]:
    owed = {name: {event["id"] for event in evidence.owed(name)} for name in ENDPOINTS}
    missing = [event for name in ENDPOINTS for event in evidence.missing(name)]
    wrong = [each for each in evidence.requests if each.id not in owed[each.receiver]]
    unsigned = [each for each in evidence.requests if not each.signed]
    taken = [(each.receiver, each.id) for requests in evidence.taken.values() for each in requests]
    yield Claim("events owed to endpoints", f"{sum(map(len, owed.values())):,}")
    yield none("of these missing in the books of the receivers", missing)
    yield none("requests at the wrong endpoint", wrong, _request)
    yield none("requests whose signature `standardwebhooks` refuses", unsigned, _request)
    yield Claim("events taken more than once", f"{len(_repeated(taken)):,}")


def _contents(evidence: Evidence) -> Iterator[Claim]:
    differ, forked = list[str](), list[str]()
    for name, requests in evidence.taken.items():
        by_message = defaultdict[str, list[dict[str, Any]]](list)
        for request in requests:
            by_message[request.body["data"]["id"]].append(request.body["data"])
        for message_id, states in by_message.items():
            expected = _without_content(evidence.shown[message_id])
            if changed := _differences(_merged(states), expected):
                differ.append(f"{name}: {message_id}: {changed}")
            forked += [f"{name}: {message_id}" for _ in _forks(states)]
    yield none("messages whose merged events differ from GET", differ)
    yield none("two events with one version that differ", forked)


def _failing(evidence: Evidence) -> Iterator[Claim]:
    before = evidence.requests[: evidence.before]
    for name in (STEADY, "finals", NARROW):
        yield none(f"missing at `{name}` before any recovery", evidence.missing(name, before))
    yield Claim("`gone` is disabled", evidence.disabled.get(GONE, "no"), GONE in evidence.disabled)
    others = {name: reason for name, reason in evidence.disabled.items() if name != GONE}
    yield none("other endpoints that are disabled", sorted(others.items()))
    early = [*_early([each for each in before if each.receiver == THROTTLING])]
    yield none("requests before the end of Retry-After", early, _request)
    for name, recovery in evidence.recoveries.items():
        left = evidence.missing(name)
        text = f"`{name}`: missing before one call of `recover`, and after it"
        yield Claim(text, f"{recovery.missing:,}, {len(left):,}", not left, left[:3])


def _times(evidence: Evidence) -> Iterator[Claim]:
    added = {event["id"]: added_at(event) for event in evidence.owed(STEADY)}
    first = dict[str, float]()
    for request in evidence.taken[STEADY]:
        first.setdefault(request.id, request.at)
    waits = sorted(first[event_id] - added[event_id] for event_id in first.keys() & added.keys())
    for share in (50, 95, 100):
        wait = waits[min(len(waits) * share // 100, len(waits) - 1)] if waits else float("nan")
        yield Claim(f"from the change to the request at `{STEADY}`, p{share}", f"{wait:.2f} s")
    recovery = evidence.recoveries[DOWN_RECEIVER]
    arrived = [each.at for each in evidence.taken[DOWN_RECEIVER] if each.at > recovery.at]
    seconds = max(arrived, default=recovery.at) - recovery.at
    text = f"from the recovery of `{DOWN_RECEIVER}` until its last event arrived"
    yield Claim(text, f"{seconds:.1f} s")


def _early(requests: Iterable[Request]) -> Iterator[Request]:
    """Yield requests that arrived while a 429 before them asked to wait."""
    refused = list[float]()
    for request in requests:
        if any(_UNDER_WAY < request.at - at < RETRY_AFTER for at in refused):
            yield request
        if request.habit == "throttles":
            refused.append(request.at)


def _ids(evidence: Evidence, client: str) -> list[str]:
    return [event["id"] for event in evidence.feeds[client]]


def _merged(states: Iterable[Mapping[str, Any]]) -> Mapping[str, Any]:
    """Return the state with the highest version, as a receiver does."""
    return max(states, key=lambda state: int(state["version"]))


def _forks(states: Iterable[Mapping[str, Any]]) -> Iterator[Mapping[str, Any]]:
    seen = dict[int, Mapping[str, Any]]()
    for state in states:
        if seen.setdefault(state["version"], state) != state:
            yield state


def _differences(left: Mapping[str, Any], right: Mapping[str, Any]) -> dict[str, tuple[Any, Any]]:
    names = left.keys() | right.keys()
    return {
        name: (left.get(name), right.get(name))
        for name in sorted(names)
        if left.get(name) != right.get(name)
    }


def _without_content(message: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in message.items() if name not in _CONTENT}


def _repeated(values: Iterable[Any]) -> list[Any]:
    return [value for value, count in Counter(values).items() if count > 1]


def _request(request: Request) -> str:
    message = request.body["data"]
    return f"{request.receiver} {request.id} {request.at:.3f} {message['id']} {message['status']}"
