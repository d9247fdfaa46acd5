"""Clients of the run with provider outages: they post until each message is accepted."""

import threading
import time
from typing import Any, Final

import requests

from tests.chaos.outages.plan import FAILOVER, HANGING, PENDING, STANDBY, Plan, recipient

_BATCH: Final = 250
_TIMEOUT: Final = 20.0


def text(group: str, number: int) -> str:
    """Return the text of a message, which identifies it on both sides."""
    return f"{group} {number}"


class Client:
    """Posts messages, each batch under an idempotency key, and lists them."""

    def __init__(self, url: str, key: str) -> None:
        self._url = f"{url}/v1/messages"
        self._headers = {"Authorization": f"Bearer {key}"}

    def post(self, group: str, messages: list[dict[str, Any]]) -> None:
        """Post messages, again until all are accepted."""
        key = f"{group}-{messages[0]['body']}"
        while True:
            try:
                answer = requests.post(
                    f"{self._url}/batch",
                    json={"messages": messages},
                    headers={**self._headers, "Idempotency-Key": key},
                    timeout=_TIMEOUT,
                )
            except requests.RequestException:
                time.sleep(0.2)
                continue
            if answer.status_code == 202:
                _check(answer.json()["results"])
                return
            time.sleep(0.2)

    def messages(self) -> list[dict[str, Any]]:
        """Return every message as the API shows it."""
        found, cursor = list[dict[str, Any]](), None
        while True:
            query: dict[str, Any] = {"limit": 200, "cursor": cursor}
            answer = requests.get(self._url, params=query, headers=self._headers, timeout=_TIMEOUT)
            answer.raise_for_status()
            page = answer.json()
            found += page["messages"]
            if (cursor := page["next_cursor"]) is None:
                return found


def message(group: str, number: int, validity: int | None = None) -> dict[str, Any]:
    """Return one message.

    All ask for a resend if their outcome stays unknown: a send worker that is killed between its
    claim and its call leaves a message that was certainly not sent, but Waybill cannot know it.
    """
    posted: dict[str, Any] = {
        "to": recipient(group, number),
        "body": text(group, number),
        "resend_if_unknown": True,
    }
    return posted if validity is None else {**posted, "validity_period": validity}


def post_pending(client: Client, plan: Plan) -> None:
    """Post all messages that wait during the outages."""
    numbers = range(plan.pending)
    for start in range(0, plan.pending, _BATCH):
        batch = numbers[start : start + _BATCH]
        client.post(PENDING, [message(PENDING, n, plan.validity(n)) for n in batch])


def post_hanging(client: Client, plan: Plan) -> None:
    """Post the messages whose provider does not answer."""
    client.post(HANGING, [message(HANGING, number) for number in range(plan.hanging)])


class Steady:
    """Posts messages of the groups with a second account, in the background, until it is ended."""

    def __init__(self, client: Client, rate: float) -> None:
        self._client, self._rate = client, rate
        self._end = threading.Event()
        self._threads = [
            threading.Thread(target=self._post, args=(group,)) for group in (STANDBY, FAILOVER)
        ]

    def start(self) -> None:
        """Start posting."""
        for thread in self._threads:
            thread.start()

    def end(self) -> None:
        """End posting; return when every message is accepted."""
        self._end.set()
        for thread in self._threads:
            thread.join()

    def _post(self, group: str) -> None:
        start, number = time.monotonic(), 0
        while not self._end.wait(max(0.0, start + number / self._rate - time.monotonic())):
            self._client.post(group, [message(group, number)])
            number += 1


def _check(results: list[dict[str, Any]]) -> None:
    """Raise RuntimeError for a message that is not valid."""
    problems = [result["problem"] for result in results if result["status"] != 202]
    if problems:
        raise RuntimeError(f"not accepted: {problems[0]}")
