"""Counts accepted and refused callbacks of the last minute, shared by all replicas.

A wrong token refuses every callback, and nothing else fails: an operator has to be told. A stranger
can make up refused callbacks, so that they count only while no genuine one was accepted.

Each process counts for itself and writes to Redis every few seconds: a callback waits for no more.
"""

import logging
import threading
import time
from collections import Counter
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from redis import Redis
from redis.exceptions import RedisError

from service.coordination.circuit_breaker import CircuitBreaker, CircuitOpen
from service.providers.base import RefusalAdvice

_KEY: Final = "waybill:callback_checks:"
_WINDOW: Final = 60.0
_STEP: Final = 10  # seconds that one key counts; seven keys hold the last minute
_EVERY: Final = 3.0  # seconds between two writes of one process
_ACCEPTED: Final = "accepted"

_log = logging.getLogger(__name__)


class Refusals(NamedTuple):
    """How many callbacks of a provider were refused for a reason; none was accepted."""

    provider: str
    reason: str
    number: int


@dataclass(slots=True)
class _Heard:
    """What this process heard of one provider, by the monotonic clock."""

    accepted_at: float = float("-inf")
    log_at: float = float("-inf")
    refused: int = 0  # since the last accepted callback or line in the log


class CallbackChecks:
    """Tells for each provider whether all callbacks of the last minute were refused."""

    def __init__(self, redis: Redis, breaker: CircuitBreaker) -> None:
        """Use a Redis of short timeouts: a callback may wait for it."""
        self._redis = redis
        self._breaker = breaker
        self._lock = threading.Lock()
        self._counts = Counter[str]()  # not yet written
        self._write_at = float("-inf")
        self._heard = dict[str, _Heard]()

    def accepted(self, provider: str) -> None:
        """Count a callback that the provider signed."""
        with self._lock:
            heard = self._heard.setdefault(provider, _Heard())
            heard.accepted_at, heard.refused = time.monotonic(), 0
        self._count(provider, _ACCEPTED)

    def refused(self, provider: str, reason: str, advice: RefusalAdvice | None) -> None:
        """Count a callback that was refused; log it where all are and a setting may be wrong."""
        if advice is None:
            return
        self._count(provider, reason)
        with self._lock:
            now, heard = time.monotonic(), self._heard.setdefault(provider, _Heard())
            heard.refused += 1
            if now < max(heard.log_at, heard.accepted_at + _WINDOW):
                return
            heard.log_at, number, heard.refused = now + _WINDOW, heard.refused, 0
        told = f"all callbacks of {provider} are refused: {advice.fault}"
        _log.error("%s (%d refused, none accepted). %s", told, number, advice.remedy)

    def all_refused(self) -> list[Refusals]:
        """Return what was refused in the last minute where nothing was accepted."""
        self._write()
        totals = self._read()
        accepted = {key.partition(" ")[0] for key in totals if key.endswith(f" {_ACCEPTED}")}
        found = [(*key.partition(" ")[::2], number) for key, number in totals.items()]
        return sorted(Refusals(*one) for one in found if one[0] not in accepted)

    def _count(self, provider: str, what: str) -> None:
        with self._lock:
            self._counts[f"{provider} {what}"] += 1
            now = time.monotonic()
            if now < self._write_at:
                return
            self._write_at = now + _EVERY
        self._write()

    def _write(self) -> None:
        with self._lock:
            counts, self._counts = self._counts, Counter()
        if not counts:
            return
        key = f"{_KEY}{int(time.time()) // _STEP}"
        pipe = self._redis.pipeline(transaction=False)
        for name, number in counts.items():
            pipe.hincrby(key, name, number)
        pipe.expire(key, int(2 * _WINDOW))
        try:
            with self._breaker.guard():
                pipe.execute()
        except (RedisError, CircuitOpen):
            return  # the log has told it; the page says that Redis is away

    def _read(self) -> Counter[str]:
        last = int(time.time()) // _STEP
        pipe = self._redis.pipeline(transaction=False)
        for step in range(last - int(_WINDOW) // _STEP, last + 1):
            pipe.hgetall(f"{_KEY}{step}")
        totals = Counter[str]()
        try:
            with self._breaker.guard():
                answers: list[dict[bytes, Any]] = pipe.execute()
        except (RedisError, CircuitOpen):
            return totals
        for answer in answers:
            totals.update({name.decode(): int(number) for name, number in answer.items()})
        return totals
