"""Clients that post at a constant rate until they are ended, each post until it is accepted."""

import threading
import time
from itertools import count
from typing import Final

import requests

from tests.chaos.traffic import body

_CLIENTS: Final = 4
_TIMEOUT: Final = 20.0
_PAUSE: Final = 0.2
_LAST: Final = 60.0  # seconds that the last posts may take


class Steady:
    """Posts messages in the background; their numbers begin with 0 and have no gaps.

    No message sets `resend_if_unknown`: none may go on the air twice.
    """

    def __init__(self, url: str, key: str, rate: float) -> None:
        self._url, self._rate = f"{url}/v1/messages", rate
        self._headers = {"Authorization": f"Bearer {key}"}
        self._numbers = count()
        self._end = threading.Event()
        self._deadline = float("inf")
        self._posted, self._accepted = list[int](), list[int]()
        self._threads = [threading.Thread(target=self._post_all) for _ in range(_CLIENTS)]

    @property
    def accepted(self) -> int:
        """Return how many messages were accepted."""
        return len(self._accepted)

    @property
    def posted(self) -> int:
        """Return how many messages were posted, also those that are not accepted."""
        return len(self._posted)

    def start(self) -> None:
        """Start posting."""
        for thread in self._threads:
            thread.start()

    def end(self) -> None:
        """End posting; return when every message is accepted, or after a minute.

        A message that is not accepted then is one that Waybill did not finish.
        """
        self._deadline = time.monotonic() + _LAST
        self._end.set()
        for thread in self._threads:
            thread.join()

    def _post_all(self) -> None:
        with requests.Session() as session:
            session.headers.update(self._headers)
            start, posted = time.monotonic(), 0
            while not self._end.wait(
                max(0.0, start + posted * _CLIENTS / self._rate - time.monotonic())
            ):
                self._post(session, next(self._numbers))
                posted += 1

    def _post(self, session: requests.Session, number: int) -> None:
        self._posted.append(number)
        message = {"to": f"+1415{number:07d}", "body": body(number), "reference": str(number)}
        while not self._is_accepted(session, message, key=f"failover-{number}"):
            if time.monotonic() > self._deadline:
                return
            time.sleep(_PAUSE)
        self._accepted.append(number)

    def _is_accepted(self, session: requests.Session, message: dict[str, str], key: str) -> bool:
        try:
            headers = {"Idempotency-Key": key}
            answer = session.post(self._url, json=message, headers=headers, timeout=_TIMEOUT)
        except requests.RequestException:
            return False
        return answer.status_code == 202
