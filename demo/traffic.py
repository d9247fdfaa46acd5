"""Posts a few hundred messages and shows their progress on the terminal."""

import sys
import time
from collections import Counter
from collections.abc import Iterator
from typing import Any, Final

import requests

from demo import persons
from demo.stack import SENDER, Stack

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
# Twilio's magic numbers, which its API rejects, see
# https://www.twilio.com/docs/iam/test-credentials
_INVALID: Final = ("+15005550001", "+15005550004", "+15005550009")
# Every fifth recipient writes back.
_REPLIES: Final = ("Thank you!", "STOP", "Where is it?", "HELP")
_TIMEOUT: Final = 75.0


class Api:
    """A client of Waybill's API."""

    def __init__(self, url: str, key: str) -> None:
        self._url = f"{url}/v1"
        self._session = requests.Session()
        self._session.headers["Authorization"] = f"Bearer {key}"

    def post(self, message: dict[str, Any], key: str) -> dict[str, Any]:
        """Post one message under an idempotency key."""
        return self._answer("POST", "/messages", json=message, headers={"Idempotency-Key": key})

    def post_batch(self, messages: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """Post many messages in one call."""
        results: list[dict[str, Any]] = self._answer(
            "POST", "/messages/batch", json={"messages": messages}
        )["results"]
        return results

    def subscribe(self, url: str) -> str:
        """Create a webhook endpoint for final statuses and replies; return its signing secret."""
        endpoint = {"url": url, "types": ["message.updated", "message.received"]}
        return str(self._answer("POST", "/webhook-endpoints", json=endpoint)["secret"])

    def messages(self) -> Iterator[dict[str, Any]]:
        """Yield every message, newest first."""
        cursor: str | None = None
        while True:
            page = self._answer("GET", "/messages", params={"limit": 200, "cursor": cursor})
            yield from page["messages"]
            cursor = page["next_cursor"]
            if cursor is None:
                return

    def newest(self, count: int) -> list[dict[str, Any]]:
        """Return the newest messages: 200 at most."""
        messages: list[dict[str, Any]] = self._answer("GET", "/messages", params={"limit": count})[
            "messages"
        ]
        return messages

    def inbound(self) -> list[dict[str, Any]]:
        """Return the newest inbound messages: 200 at most."""
        messages: list[dict[str, Any]] = self._answer("GET", "/inbound", params={"limit": 200})[
            "messages"
        ]
        return messages

    def events(self, message_id: str) -> list[dict[str, Any]]:
        """Return the events of one message."""
        events: list[dict[str, Any]] = self._answer("GET", f"/messages/{message_id}/events")[
            "events"
        ]
        return events

    def _answer(self, method: str, path: str, **request: Any) -> dict[str, Any]:
        response = self._session.request(method, self._url + path, timeout=30, **request)
        response.raise_for_status()
        answer: dict[str, Any] = response.json()
        return answer


def send(api: Api) -> int:
    """Post all messages, some twice with the same key; return the number of distinct messages."""
    singles = [_message(number) for number in range(SINGLES)]
    for number, message in enumerate(singles):
        api.post(message, key=f"demo-{number}")
    for number, message in enumerate(singles[:REPEATED]):
        api.post(message, key=f"demo-{number}")
    results = api.post_batch([_message(SINGLES + number) for number in range(BATCH)])
    return SINGLES + len([result for result in results if result["status"] == 202])


def reply(stack: Stack) -> None:
    """Write back as recipients, while their messages are still being sent."""
    for number in range(0, SINGLES + BATCH, 5):
        recipient = _message(number)["to"]
        if recipient not in _INVALID:
            provider, text = _provider(number), _REPLIES[number // 10 % len(_REPLIES)]
            persons.write(stack, provider, recipient, SENDER, text)


def watch(stack: Stack, api: Api) -> None:
    """Print the statuses every second, until they are unchanged for 3 s or 75 s have passed."""
    deadline, previous, unchanged = time.monotonic() + _TIMEOUT, Counter[str](), 0
    while time.monotonic() < deadline and unchanged < 3:
        time.sleep(1)
        stack.check()
        counts = Counter(message["status"] for message in api.messages())
        _print_counts(counts)
        sending = counts["pending"] or counts["submitting"] or counts["in_doubt"]
        settled = not sending and _is_idle(stack)
        unchanged = unchanged + 1 if counts == previous and settled else 0
        previous = counts
    print()


def _message(number: int) -> dict[str, Any]:
    """Return a message: odd numbers go to Sweden, and SMS_ROUTES sends those through Sinch."""
    to = f"+4670174{number:04d}" if number % 2 else f"+1415555{number:04d}"
    if number % 50 == 0:
        to = _INVALID[number // 50 % len(_INVALID)]
    return {"to": to, "body": f"Your parcel {number} is on its way.", "reference": f"demo-{number}"}


def _provider(number: int) -> str:
    """Return the provider that SMS_ROUTES gives a message."""
    return "sinch" if number % 2 else "twilio"


def _is_idle(stack: Stack) -> bool:
    answer = requests.get(f"{stack.simulator_url}/_simulator/idle", timeout=10).json()
    return bool(answer["idle"])


def _print_counts(counts: Counter[str]) -> None:
    text = "  ".join(f"{status} {count}" for status, count in sorted(counts.items()))
    start, end = ("\r\033[K", "") if sys.stdout.isatty() else ("", "\n")
    print(f"{start}  {text}", end=end, flush=True)
