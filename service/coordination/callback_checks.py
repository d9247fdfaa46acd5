"""Count accepted and refused callbacks of the last minute, for all replicas together.

With a wrong token every callback is refused and nothing else fails, so an operator must be alerted.
A stranger can forge callbacks, so refusals count only while no callback is accepted.

Each process counts in memory and writes to Redis every few seconds: callbacks do not wait for it.
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
_STEP: Final = 10  # seconds counted in one key; seven keys cover the last minute
_WRITE_INTERVAL: Final = 3.0  # seconds, of one process
_ACCEPTED: Final = "accepted"

_log = logging.getLogger(__name__)


class Refusals(NamedTuple):
    """How many callbacks of an account were refused for one reason, while none was accepted."""

    provider: str  # as `provider`, or `provider/account` if not the default, or with `/(inbound)`
    reason: str
    number: int


@dataclass(slots=True)
class _ProviderState:
    """The callbacks of one provider in this process; times are monotonic."""

    accepted_at: float = float("-inf")
    log_at: float = float("-inf")  # when the next error may be logged
    refused: int = 0  # since the last accepted callback or logged error


class CallbackChecks:
    """Detects accounts whose callbacks are all refused; `provider` may be `provider/account`."""

    def __init__(self, redis: Redis, breaker: CircuitBreaker) -> None:
        """Use a Redis client with short time-outs: a callback may wait for it."""
        self._redis = redis
        self._breaker = breaker
        self._lock = threading.Lock()
        self._counts = Counter[str]()  # not yet in Redis
        self._write_at = float("-inf")
        self._states = dict[str, _ProviderState]()

    def accepted(self, provider: str) -> None:
        """Count a callback whose signature is valid."""
        with self._lock:
            state = self._states.setdefault(provider, _ProviderState())
            state.accepted_at, state.refused = time.monotonic(), 0
        self._count(provider, _ACCEPTED)

    def refused(self, provider: str, reason: str, advice: RefusalAdvice | None) -> None:
        """Count a refused callback; log an error if all are refused and a setting may be wrong."""
        if advice is None:
            return
        self._count(provider, reason)
        with self._lock:
            now, state = time.monotonic(), self._states.setdefault(provider, _ProviderState())
            state.refused += 1
            if now < max(state.log_at, state.accepted_at + _WINDOW):
                return
            state.log_at, number, state.refused = now + _WINDOW, state.refused, 0
        problem = f"all callbacks of {provider} are refused: {advice.fault}"
        _log.error("%s (%d refused, none accepted). %s", problem, number, advice.remedy)

    def all_refused(self) -> list[Refusals]:
        """Return the refusals of the last minute, of providers without an accepted callback."""
        self._write()
        totals = self._read()
        accepted = {key.partition(" ")[0] for key in totals if key.endswith(f" {_ACCEPTED}")}
        refusals = [Refusals(*key.partition(" ")[::2], number) for key, number in totals.items()]
        return sorted(refusal for refusal in refusals if refusal.provider not in accepted)

    def _count(self, provider: str, result: str) -> None:
        with self._lock:
            self._counts[f"{provider} {result}"] += 1
            now = time.monotonic()
            if now < self._write_at:
                return
            self._write_at = now + _WRITE_INTERVAL
        self._write()

    def _write(self) -> None:
        with self._lock:
            counts, self._counts = self._counts, Counter()
        if not counts:
            return
        key = f"{_KEY}{int(time.time()) // _STEP}"
        try:
            with self._breaker:
                pipe = self._redis.pipeline(transaction=False)
                for name, number in counts.items():
                    pipe.hincrby(key, name, number)
                pipe.expire(key, int(2 * _WINDOW))
                pipe.execute()
        except (RedisError, CircuitOpen):
            return  # these counts are lost; /ops shows that Redis is down

    def _read(self) -> Counter[str]:
        last = int(time.time()) // _STEP
        totals = Counter[str]()
        try:
            with self._breaker:
                pipe = self._redis.pipeline(transaction=False)
                for step in range(last - int(_WINDOW) // _STEP, last + 1):
                    pipe.hgetall(f"{_KEY}{step}")
                answers: list[dict[bytes, Any]] = pipe.execute()
        except (RedisError, CircuitOpen):
            return totals
        for answer in answers:
            totals.update({name.decode(): int(number) for name, number in answer.items()})
        return totals
