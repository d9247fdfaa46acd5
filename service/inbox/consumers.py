"""Remove unused consumers from the consumer group of a stream.

Redis keeps a consumer until it is deleted, and each start of a worker adds another: the group would
grow with every deploy.
"""

from typing import Final

from redis import Redis
from redis.exceptions import ResponseError

# Seconds (30 years): no consumer is idle that long.
FOREVER: Final = 1e9

# A script, because DELCONSUMER also deletes entries that the consumer took since XINFO.
_REMOVE: Final = """
if redis.call('EXISTS', KEYS[1]) == 0 then return 0 end
local removed = 0
for _, fields in ipairs(redis.call('XINFO', 'CONSUMERS', KEYS[1], ARGV[1])) do
  local consumer = {}
  for i = 1, #fields, 2 do consumer[fields[i]] = fields[i + 1] end
  local unused = consumer.name == ARGV[2] or consumer.idle >= tonumber(ARGV[3])
  if consumer.pending == 0 and unused then
    redis.call('XGROUP', 'DELCONSUMER', KEYS[1], ARGV[1], consumer.name)
    removed = removed + 1
  end
end
return removed
"""


def remove_consumers(redis: Redis, stream: str, group: str, name: str, idle: float) -> int:
    """Remove the consumer `name` and those idle for `idle` seconds; return how many.

    A consumer with pending entries stays, because they would be lost. Reading under a removed name
    creates the consumer again.
    """
    try:
        least = int(idle * 1000)
        return int(redis.register_script(_REMOVE)(keys=[stream], args=[group, name, least]))
    except ResponseError as error:
        if "NOGROUP" not in str(error):
            raise
        return 0
