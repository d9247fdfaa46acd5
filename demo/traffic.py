"""A few hundred messages to a carrier with faults, and their progress on the terminal."""

import sys
import time
from collections import Counter
from collections.abc import Iterator
from typing import Any, Final

import requests

from demo.stack import Stack

SINGLES: Final = 100
BATCH: Final = 200
REPEATED: Final = 20
_SIMULATOR_FAULTS: Final = {
    "duplicate": 0.10,
    "reorder": 0.15,
    "early": 0.10,
    "429": 0.08,
    "cut": 0.01,
}
SIMULATOR: Final = (
    *(part for name, rate in _SIMULATOR_FAULTS.items() for part in ("--fault", f"{name}={rate}")),
    *("--seed", "7", "--pace", "4"),
)
# The numbers that Twilio's test credentials refuse, see
# https://www.twilio.com/docs/iam/test-credentials
_REFUSED: Final = ("+15005550001", "+15005550004", "+15005550009")
_LONGEST: Final = 75.0


class Api:
    """Waybill's API, as an internal service uses it."""

    def __init__(self, url: str, key: str) -> None:
        self._url = f"{url}/v1/messages"
        self._session = requests.Session()
        self._session.headers["Authorization"] = f"Bearer {key}"

    def post(self, message: dict[str, Any], key: str) -> dict[str, Any]:
        """Post one message under an idempotency key."""
        return self._answer("POST", "", json=message, headers={"Idempotency-Key": key})

    def post_batch(self, messages: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """Post many messages in one call."""
        results: list[dict[str, Any]] = self._answer("POST", "/batch", json={"messages": messages})[
            "results"
        ]
        return results

    def messages(self) -> Iterator[dict[str, Any]]:
        """Yield every message, newest first."""
        cursor: str | None = None
        while True:
            page = self._answer("GET", "", params={"limit": 200, "cursor": cursor})
            yield from page["messages"]
            cursor = page["next_cursor"]
            if cursor is None:
                return

    def events(self, message_id: str) -> list[dict[str, Any]]:
        """Return the ledger of one message."""
        events: list[dict[str, Any]] = self._answer("GET", f"/{message_id}/events")["events"]
        return events

    def _answer(self, method: str, path: str, **request: Any) -> dict[str, Any]:
        response = self._session.request(method, self._url + path, timeout=30, **request)
        response.raise_for_status()
        answer: dict[str, Any] = response.json()
        return answer


def send(api: Api) -> int:
    """Post everything, some of it twice under the same key; return how many messages that makes."""
    singles = [_message(number) for number in range(SINGLES)]
    for number, message in enumerate(singles):
        api.post(message, key=f"demo-{number}")
    for number, message in enumerate(singles[:REPEATED]):
        api.post(message, key=f"demo-{number}")
    results = api.post_batch([_message(SINGLES + number) for number in range(BATCH)])
    return SINGLES + len([result for result in results if result["status"] == 202])


def watch(stack: Stack, api: Api) -> None:
    """Show where the messages are, until nothing moves or time is up."""
    until, before, still = time.monotonic() + _LONGEST, Counter[str](), 0
    while time.monotonic() < until and still < 3:
        time.sleep(1)
        stack.check()
        now = Counter(message["status"] for message in api.messages())
        _show(now)
        settled = _idle(stack) and not (now["pending"] or now["submitting"] or now["in_doubt"])
        still = still + 1 if now == before and settled else 0
        before = now
    print()


def _message(number: int) -> dict[str, Any]:
    """Return a message: every other one goes to Sweden, where the routes lead elsewhere."""
    to = f"+4670174{number:04d}" if number % 2 else f"+1415555{number:04d}"
    if number % 50 == 0:
        to = _REFUSED[number // 50 % len(_REFUSED)]
    return {"to": to, "body": f"Your parcel {number} is on its way.", "reference": f"demo-{number}"}


def _idle(stack: Stack) -> bool:
    answer = requests.get(f"{stack.simulator_url}/_simulator/idle", timeout=10).json()
    return bool(answer["idle"])


def _show(statuses: Counter[str]) -> None:
    line = "  ".join(f"{status} {count}" for status, count in sorted(statuses.items()))
    lead, end = ("\r\033[K", "") if sys.stdout.isatty() else ("", "\n")
    print(f"{lead}  {line}", end=end, flush=True)
