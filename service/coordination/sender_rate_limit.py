"""Rate limit per sender: a leaky bucket in Redis for all replicas, in segments per second.

When the bucket is full, a message is rescheduled. Messages of one client and priority form their
own queue, so that no client waits for another client's backlog; they share only the bucket.
Without Redis there is no limit.
"""

import logging
from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

from redis import Redis
from redis.exceptions import RedisError

from service.coordination.circuit_breaker import CircuitBreaker, CircuitOpen
from service.redis_client.cluster import ClusterClient

_ANY_SENDER: Final = "*"
_PREFIX: Final = "waybill:pace:"
# A script may only use keys of one slot of a cluster.
_CLUSTER_PREFIX: Final = "waybill:{pace}:"

# Times are seconds of Redis's clock, because the clocks of replicas differ. `empty_at` is when the
# bucket will be empty; it holds one second of messages (0.999 because of float errors), since beat
# looks for due messages once a second. Rescheduled messages keep their place; new ones are
# scheduled after them.
_SCRIPT: Final = """
local time = redis.call('TIME')
local now = time[1] + time[2] / 1000000
local ahead, delays = {}, {}
local function keep(key, moment)
  redis.call('SET', key, string.format('%.6f', moment), 'PX',
    math.ceil((moment - now) * 1000) + 1000)
end
for i = 1, #KEYS / 2 do
  local bucket, queue = KEYS[2 * i - 1], KEYS[2 * i]
  local cost, rescheduled = tonumber(ARGV[2 * i - 1]), ARGV[2 * i] == '1'
  local empty_at = math.max(tonumber(redis.call('GET', bucket) or 0), now)
  local last = tonumber(redis.call('GET', queue) or 0)
  if empty_at - now < 0.999 and (rescheduled or last <= now) then
    keep(bucket, empty_at + cost)
    delays[i] = '0'
  else
    local at = math.max(last, empty_at - 1)
    if rescheduled then
      at = empty_at - 1 + (ahead[bucket] or 0)
      ahead[bucket] = (ahead[bucket] or 0) + cost
    else
      keep(queue, at + cost)
    end
    delays[i] = string.format('%.6f', math.max(0.001, at - now))
  end
end
return delays
"""

_log = logging.getLogger(__name__)


class SendRequest(NamedTuple):
    """A message that is due."""

    account: str  # as `provider:account`
    sender: str
    queue: str  # its client and priority
    segments: int
    rescheduled: bool  # this limit delayed it before


class SenderRateLimit:
    """Delays messages of senders that send too fast."""

    def __init__(self, redis: Redis, breaker: CircuitBreaker, rates: Mapping[str, float]) -> None:
        """Take segments per second by sender; `*` means each other sender.

        `provider:account:` before a sender limits the rate to that account.
        """
        self._breaker = breaker
        self._rates = rates
        self._prefix = _CLUSTER_PREFIX if isinstance(redis, ClusterClient) else _PREFIX
        self._script = redis.register_script(_SCRIPT)

    def delays(self, requests: Sequence[SendRequest]) -> list[float]:
        """Return the delay of each request in seconds; 0 means: send now (it is counted)."""
        delays = [0.0] * len(requests)
        keys, arguments, limited = list[str](), list[Any](), list[int]()
        for index, request in enumerate(requests):
            if rate := self._rate(request):
                bucket = f"{self._prefix}{request.account}:{request.sender}"
                keys += [bucket, f"{bucket}:{request.queue}"]
                arguments += [request.segments / rate, int(request.rescheduled)]
                limited.append(index)
        results = self._run(keys, arguments) if limited else []
        for index, delay in zip(limited, results, strict=False):
            delays[index] = float(delay)
        return delays

    def _run(self, keys: list[str], arguments: list[Any]) -> list[bytes]:
        try:
            with self._breaker:
                delays: list[bytes] = self._script(keys, arguments)
                return delays
        except (RedisError, CircuitOpen) as error:
            _log.warning("sender rates are not limited: Redis failed (%s)", type(error).__name__)
            return []

    def _rate(self, request: SendRequest) -> float | None:
        """Return the rate of a sender in its account, else of a sender of that name."""
        for prefix in (f"{request.account}:", ""):
            for name in (request.sender, _ANY_SENDER):
                if (rate := self._rates.get(prefix + name)) is not None:
                    return rate
        return None
