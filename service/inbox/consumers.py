"""Removes consumers of a stream's group that no process uses any more.

A group keeps a consumer's name until a command removes it, and a process has a new name at each
start: the group would grow by one name with each deploy of each worker.
"""

from typing import Final

from redis import Redis
from redis.exceptions import ResponseError

# Seconds for which no consumer is ever idle: 30 years.
FOREVER: Final = 1e9

# One script: an entry that a consumer takes between the look and the removal would be lost with it.
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

    A consumer that holds entries stays: they would be lost with it. A process that reads again
    under a removed name gets the name back.
    """
    try:
        least = int(idle * 1000)
        return int(redis.register_script(_REMOVE)(keys=[stream], args=[group, name, least]))
    except ResponseError as error:
        if "NOGROUP" not in str(error):
            raise
        return 0
