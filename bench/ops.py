"""Measures the operator pages with a million messages: `python -m bench.ops`.

The database generates the rows, some in the last hour and the others before; then the pages are
requested over HTTP, as a browser does.
"""

import argparse
import os
import re
import statistics
import tempfile
import time
from pathlib import Path
from typing import Final

import requests
from sqlalchemy import text

from bench.databases import databases, engine_of, settle
from demo.stack import running

_NUMBER: Final = "+14155550043"
_BUSY_NUMBER: Final = "+14155550042"  # the recipient of every twentieth message
_LIMIT: Final = 0.5

_MESSAGES: Final = """
INSERT INTO message (id, client_id, request_digest, "to", sender, body, reference, metadata,
  resend_if_unknown, provider, status, attempts, submitted_at,
  check_at, lookups, outcome_attempt, provider_sid, error_code, failed_in, delivered_in,
  created_at, updated_at, final_at)
SELECT
  (lpad(to_hex((extract(epoch FROM made) * 1000)::bigint), 12, '0') || '7000'
    || '8' || lpad(to_hex(n), 15, '0'))::uuid,
  1, decode(repeat('00', 32), 'hex'),
  CASE WHEN n % 20 = 0 THEN '+14155550042' ELSE '+1415555' || lpad((n % 10000)::text, 4, '0') END,
  '+15005550006', 'Your parcel ' || n || ' is on its way.', 'order-' || n, '{}', false, 'twilio',
  state, 1, made, CASE WHEN state = 'sent' THEN now() + interval '1 hour'
    WHEN state = 'in_doubt' AND n % 2000 > 1000 THEN now() + interval '1 minute' END, 0, 1,
  CASE WHEN state <> 'in_doubt' THEN 'SM' || lpad(to_hex(n), 32, '0') END,
  CASE WHEN state = 'undelivered' THEN (30003 + n % 5)::text END,
  (state = 'undelivered')::int * 2, (state = 'delivered')::int * 2, made, made + interval '4 s',
  CASE WHEN state IN ('delivered', 'undelivered') THEN made + interval '4 s' END
FROM (
  SELECT n, CASE WHEN n % 1000 = 1 AND n > :messages - 20000 THEN 'in_doubt'
      WHEN n % 50 = 0 THEN 'undelivered' WHEN n % 97 = 0 THEN 'sent' ELSE 'delivered' END AS state,
    now() - CASE WHEN n > :messages - :hour
      THEN interval '1 hour' * (:messages - n) / :hour
      ELSE interval '1 hour' + interval '30 days' * (:messages - n) / :messages END AS created
  FROM generate_series(1, :messages) AS n
) AS generated
"""

_ATTEMPTS: Final = """
INSERT INTO attempt (id, message_id, number, provider, provider_sid, answer, started_at,
  answered_at)
SELECT md5(id::text)::uuid, id, 1, 'twilio', provider_sid,
  CASE WHEN status = 'in_doubt' THEN 'unknown' ELSE 'accepted' END, created_at,
  created_at + interval '90 ms'
FROM message
"""

_EVENTS: Final = """
INSERT INTO status_event (identity, message_id, attempt_id, provider, provider_sid, source, word,
  status, error_code, received_at, recorded_at, repeats, raw)
SELECT decode(md5(id::text || step) || md5(step || id::text), 'hex'), id, md5(id::text)::uuid,
  'twilio', provider_sid, source, CASE WHEN step = 3 THEN status ELSE word END,
  CASE WHEN step = 3 THEN status ELSE word END, CASE WHEN step = 3 THEN error_code END,
  created_at + interval '1 s' * step, created_at + interval '1 s' * step + interval '40 ms', 0,
  '{"MessageStatus": "filler"}'
FROM message, (VALUES (1, 'api', 'queued'), (2, 'callback', 'sent'), (3, 'callback', '')) AS reports
  (step, source, word)
WHERE status IN ('delivered', 'undelivered')
ORDER BY created_at
"""


def main() -> int:
    """Fill the database and measure the pages; return 1 when one took longer than 500 ms."""
    parser = argparse.ArgumentParser(prog="python -m bench.ops", description=__doc__)
    parser.add_argument("--messages", type=int, default=1_000_000)
    parser.add_argument("--hour", type=int, default=200_000, help="messages in the last hour")
    options = parser.parse_args()
    with (
        databases() as server,
        server.fresh() as url,
        tempfile.TemporaryDirectory(prefix="waybill-", ignore_cleanup_errors=True) as directory,
        running(Path(directory), environment={"DATABASE_URL": url}) as stack,
    ):
        stack.flask("clients", "create", "bench")
        key = stack.flask("operators", "create", "bench")
        start = time.monotonic()
        _fill(url, options.messages, options.hour)
        print(f"filled with {options.messages:,} messages in {time.monotonic() - start:.0f} s")
        print(f"load average before {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")
        slowest = _measure_all(log_in(stack.url, key), stack.url)
    print(f"slowest answer {slowest * 1000:.0f} ms (limit {_LIMIT * 1000:.0f} ms)")
    return int(slowest > _LIMIT)


def _fill(url: str, messages: int, hour: int) -> None:
    parameters = {"messages": messages, "hour": hour}
    with engine_of(url).begin() as connection:
        connection.execute(text(_MESSAGES), parameters)
        connection.execute(text(_ATTEMPTS))
        connection.execute(text(_EVENTS))
    settle(url)


def log_in(url: str, key: str) -> requests.Session:
    """Return a session that is logged in with an operator key."""
    browser = requests.Session()
    token = re.search(r'name="csrf_token" value="([^"]+)"', page(browser, f"{url}/ops/login"))
    assert token
    form = {"key": key, "csrf_token": token[1]}
    answer = browser.post(f"{url}/ops/login", data=form, allow_redirects=False, timeout=10)
    answer.raise_for_status()
    _allow_plain_http(browser)
    return browser


def _measure_all(browser: requests.Session, url: str) -> float:
    """Measure every page; return the slowest answer in seconds."""
    newest = re.search(r"/ops/messages/[0-9a-f-]{36}", page(browser, f"{url}/ops/messages"))
    assert newest
    pages = {
        "overview, empty cache": "/ops/",
        "overview, every 3 s": "/ops/live",
        "newest messages": "/ops/messages",
        "search by number": f"/ops/messages?q={_NUMBER.replace('+', '%2B')}",
        "search by a busy number": f"/ops/messages?q={_BUSY_NUMBER.replace('+', '%2B')}",
        "search by reference": "/ops/messages?q=order-500000",
        "search without a match": "/ops/messages?q=no-such-reference",
        "message": newest[0],
        "in doubt": "/ops/doubts",
    }
    return max(_measure(browser, name, url + path) for name, path in pages.items())


def _measure(browser: requests.Session, name: str, url: str) -> float:
    pause = 3.0 if "overview" in name else 0.1
    times = []
    for _ in range(20 if "every" in name else 5):
        start = time.monotonic()
        page(browser, url)
        times.append(time.monotonic() - start)
        time.sleep(pause)
    print(
        f"{name:32} first {times[0] * 1000:4.0f} ms"
        f"  p50 {statistics.median(times) * 1000:4.0f} ms  max {max(times) * 1000:4.0f} ms"
    )
    return max(times)


def page(browser: requests.Session, url: str) -> str:
    """Return a page. Raises HTTPError."""
    answer = browser.get(url, timeout=30)
    answer.raise_for_status()
    _allow_plain_http(browser)
    return answer.text


def _allow_plain_http(browser: requests.Session) -> None:
    """Send secure cookies also without TLS, which the benchmark does not use."""
    for cookie in browser.cookies:
        cookie.secure = False


if __name__ == "__main__":
    raise SystemExit(main())
