"""What the other rooms call, after the fact. A label's children are made once and kept."""

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import cache
from typing import Final

from service.domain.status import FINAL, Status
from service.errors import NotAccepted, OutcomeUnknown, Refused
from service.observability.metrics import instruments as count

# Methods that a route may have; anything else is a stranger's word, and no label.
_METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_OUTCOMES: Final[Mapping[type[Exception], str]] = {
    Refused: "refused",
    NotAccepted: "not_accepted",
    OutcomeUnknown: "unknown",
}
# Statuses that a callback should have told: those that stay.
_EXPECTED: Final = frozenset({*FINAL, Status.SENT})
_NEWS: Final = frozenset({"recorded", "conflict"})

# A look-up of a child by its labels takes 1 us of a lock that all share; a dict takes a tenth.
_request = cache(count.REQUESTS.labels)
_received = cache(count.RECEIVED.labels)


def prepare(providers: Iterable[str]) -> None:
    """Show what can be counted as 0 until it is: an alert sees the first of a kind, too."""
    for provider in providers:
        for outcome in ("stored", "overflow", "forged", "refused"):
            _received(provider, outcome)
        for outcome in ("accepted", *_OUTCOMES.values(), "error"):
            count.SENDS.labels(provider, outcome)
        for alone in (
            count.EXPIRED_MESSAGES,
            count.MISSED,
            count.DEAD_LETTERS,
            count.SEND_TIME,
            count.SUBMIT_TIME,
        ):
            alone.labels(provider)


def request(method: str, route: str | None, code: int, began: float) -> None:
    """Count a request that began at this `perf_counter`; `route` is None where none fits."""
    known = method if method in _METHODS else "other"
    _request(known, route or "other", str(code)).observe(time.perf_counter() - began)


def received(provider: str, outcome: str) -> None:
    """Count a callback: `stored`, `overflow`, `forged` or `refused` (to be tried again)."""
    _received(provider, outcome).inc()


def forged(provider: str, reason: str) -> None:
    """Count a callback that the provider did not sign."""
    received(provider, "forged")
    count.FORGED.labels(provider, reason).inc()


def recorded(kinds: Mapping[tuple[str, str, str], int], arrivals: Sequence[datetime]) -> None:
    """Count a batch of callbacks that was committed just now."""
    now = datetime.now(UTC)
    count.COMMITTED.observe_all([max(0.0, (now - then).total_seconds()) for then in arrivals])
    for labels, number in kinds.items():
        count.RECORDED.labels(*labels).inc(number)


def missed(kinds: Mapping[tuple[str, str, str], int]) -> None:
    """Count what the provider told us only because we asked."""
    for (provider, status, brought), number in kinds.items():
        if status in _EXPECTED and brought in _NEWS:
            count.MISSED.labels(provider).inc(number)


def set_aside(provider: str) -> None:
    """Count a callback that could not be recorded."""
    count.DEAD_LETTERS.labels(provider).inc()


@contextmanager
def send(provider: str, wanted_since: datetime) -> Iterator[None]:
    """Count the call that hands a message over, by what it raises; and the wait, if it is taken."""
    began, outcome = time.perf_counter(), "error"
    try:
        yield
        outcome = "accepted"
        waited = datetime.now(UTC) - wanted_since
        count.SUBMIT_TIME.labels(provider).observe(max(0.0, waited.total_seconds()))
    except Exception as error:
        outcome = _OUTCOMES.get(type(error), outcome)
        raise
    finally:
        count.SEND_TIME.labels(provider).observe(time.perf_counter() - began)
        count.SENDS.labels(provider, outcome).inc()


def expired(claims: int) -> None:
    """Count sends whose worker died."""
    count.EXPIRED.inc(claims)


def message_expired(provider: str) -> None:
    """Count a message that was not sent before its deadline."""
    count.EXPIRED_MESSAGES.labels(provider).inc()


def task(name: str, outcome: str, seconds: float) -> None:
    """Count a task: it `succeeded` or `failed`."""
    count.TASKS.labels(name, outcome).observe(seconds)
