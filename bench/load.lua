-- Sends every request of a file once and then no more, so that every answer is counted.
-- Usage: wrk … URL -- FILE SECONDS EARLY MAX. A record is its length in eight digits, then its bytes.
-- Requests of the first EARLY seconds are also counted separately; at most MAX records are sent.
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

-- State of each thread. Global, because done() reads it.
first, last, sent, early, exhausted = 0, 0, 0, 0, false
local file, until_, checked

function init(args)
  file = assert(io.open(args[1], "rb"))
  seconds, early_seconds, max_requests = tonumber(args[2]), tonumber(args[3]), tonumber(args[4])
end

function request()
  local time = now()
  if not checked then -- wrk calls this once before the run and does not send the request
    checked = true
    return next_record()
  end
  if not until_ then first, until_ = time, time + seconds end
  last = time
  if time >= until_ then return "" end
  local record = sent < max_requests and next_record()
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

-- State of the main thread.
local threads = {}

function setup(thread)
  table.insert(threads, thread)
end

function done(summary, latency, _)
  local thread, errors = threads[1], summary.errors
  print(string.format(
    'RESULT {"answered": %d, "sent": %d, "early": %d, "rejected": %d, "failed": %d, "first": %.6f,'
      .. ' "last": %.6f, "exhausted": %s, "p50_ms": %.3f, "p99_ms": %.3f}',
    summary.requests, thread:get("sent"), thread:get("early"), errors.status,
    errors.connect + errors.read + errors.write + errors.timeout,
    thread:get("first"), thread:get("last"), tostring(thread:get("exhausted")),
    latency:percentile(50) / 1000, latency:percentile(99) / 1000))
end
