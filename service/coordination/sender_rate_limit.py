"""How fast each sender sends: one bucket in Redis for all replicas, filled in segments per second.

A message that finds the bucket full gets a time to come back. Messages of one client and priority
stand in a line of their own, so that nobody waits behind another's hundred thousand: the bucket
alone is shared. Without Redis there is no limit: sends go on.
"""

import logging
from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

from redis import Redis
from redis.exceptions import RedisError

from service.coordination.circuit_breaker import CircuitBreaker, CircuitOpen

_ANY: Final = "*"
_PREFIX: Final = "waybill:pace:"

# In seconds of Redis's clock, so that replicas need not agree on theirs. `full` is when the bucket
# is empty again; it holds one second (less what floats lose): the clock looks for due messages as
# often. Who was in line before is told when there will be room; who comes new goes behind the line.
_SCRIPT: Final = """
local time = redis.call('TIME')
local now = time[1] + time[2] / 1000000
local ahead, waits = {}, {}
local function keep(key, moment)
  redis.call('SET', key, string.format('%.6f', moment), 'PX',
    math.ceil((moment - now) * 1000) + 1000)
end
for i = 1, #KEYS / 2 do
  local bucket, line = KEYS[2 * i - 1], KEYS[2 * i]
  local cost, again = tonumber(ARGV[2 * i - 1]), ARGV[2 * i] == '1'
  local full = math.max(tonumber(redis.call('GET', bucket) or 0), now)
  local last = tonumber(redis.call('GET', line) or 0)
  if full - now < 0.999 and (again or last <= now) then
    keep(bucket, full + cost)
    waits[i] = '0'
  else
    local at = math.max(last, full - 1)
    if again then
      at = full - 1 + (ahead[bucket] or 0)
      ahead[bucket] = (ahead[bucket] or 0) + cost
    else
      keep(line, at + cost)
    end
    waits[i] = string.format('%.6f', math.max(0.001, at - now))
  end
end
return waits
"""

_log = logging.getLogger(__name__)


class SendRequest(NamedTuple):
    """A message that is to go out now. `again`: it was given a time before, and that has come."""

    sender: str  # behind its provider and a colon
    line: str  # whose, and how urgent
    segments: int
    again: bool


class SenderRateLimit:
    """The rates of senders, shared by all replicas."""

    def __init__(self, redis: Redis, breaker: CircuitBreaker, rates: Mapping[str, float]) -> None:
        """Take segments per second by sender; `*` is any other. Each sender has its own bucket."""
        self._breaker = breaker
        self._rates = rates
        self._script = redis.register_script(_SCRIPT)

    def waits(self, asks: Sequence[SendRequest]) -> list[float]:
        """Return for each how many seconds it has to wait; 0: it may go, and is counted."""
        limited = [(place, rate) for place, one in enumerate(asks) if (rate := self._rate(one))]
        answers = [0.0] * len(asks)
        if not limited:
            return answers
        keys, arguments = list[str](), list[Any]()
        for place, rate in limited:
            one = asks[place]
            keys += [f"{_PREFIX}{one.sender}", f"{_PREFIX}{one.sender}:{one.line}"]
            arguments += [one.segments / rate, int(one.again)]
        for (place, _), wait in zip(limited, self._ask(keys, arguments), strict=False):
            answers[place] = float(wait)
        return answers

    def _ask(self, keys: list[str], arguments: list[Any]) -> list[bytes]:
        try:
            with self._breaker.guard():
                answer: list[bytes] = self._script(keys, arguments)
                return answer
        except (RedisError, CircuitOpen) as error:
            _log.warning("sends have no limit (%s)", type(error).__name__)
            return []

    def _rate(self, ask: SendRequest) -> float | None:
        return self._rates.get(ask.sender.partition(":")[2], self._rates.get(_ANY))
