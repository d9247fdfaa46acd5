-- Sends every request of a file once, then falls silent, so that each answer is counted.
-- wrk … URL -- FILE SECONDS EARLY MOST. A record is its length in eight digits, then its bytes. What
-- is sent in the first EARLY seconds is also counted apart; MOST records are sent at most.
local ffi = require("ffi")
ffi.cdef [[
  typedef struct { long sec; long usec; } bench_time;
  int gettimeofday(bench_time *now, void *zone);
]]
local clock = ffi.new("bench_time")

local function now()
  ffi.C.gettimeofday(clock, nil)
  return tonumber(clock.sec) + tonumber(clock.usec) / 1e6
end

-- In the threads. Globals: done() reads them from outside.
first, last, sent, early, exhausted = 0, 0, 0, 0, false
local file, until_, checked

function init(args)
  file = assert(io.open(args[1], "rb"))
  seconds, early_seconds, most = tonumber(args[2]), tonumber(args[3]), tonumber(args[4])
end

function request()
  local time = now()
  if not checked then -- wrk looks at one request beforehand, and does not send it
    checked = true
    return next_record()
  end
  if not until_ then first, until_ = time, time + seconds end
  last = time
  if time >= until_ then return "" end
  local record = sent < most and next_record()
  if not record then
    exhausted = true
    return ""
  end
  sent = sent + 1
  if time < first + early_seconds then early = sent end
  return record
end

function next_record()
  local length = file:read(8)
  return length and file:read(tonumber(length))
end

-- Outside of them.
local threads = {}

function setup(thread)
  table.insert(threads, thread)
end

function done(summary, latency, _)
  local thread, errors = threads[1], summary.errors
  print(string.format(
    'RESULT {"answered": %d, "sent": %d, "early": %d, "refused": %d, "broken": %d, "first": %.6f,'
      .. ' "last": %.6f, "exhausted": %s, "p50_ms": %.3f, "p99_ms": %.3f}',
    summary.requests, thread:get("sent"), thread:get("early"), errors.status,
    errors.connect + errors.read + errors.write + errors.timeout,
    thread:get("first"), thread:get("last"), tostring(thread:get("exhausted")),
    latency:percentile(50) / 1000, latency:percentile(99) / 1000))
end
