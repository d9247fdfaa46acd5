"""All processes on each stand: send, callback, record, event feed and rate limit."""

from collections.abc import Iterator
from typing import Any

import pytest
import requests

from simulator.config import Config
from simulator.running import Running
from tests.as_started.conftest import Install, install, place, provider_url, redis
from tests.as_started.installation import Client, Installation, until
from tests.cluster.stands import NAMES, run_stand

pytestmark = pytest.mark.cluster
fixtures = (install, place, provider_url, redis)  # pytest finds them by their names

ROLES = ("web", "worker-send", "worker-status", "worker-webhooks", "beat")
MESSAGES = 20


@pytest.fixture(params=NAMES)
def waybill(request: pytest.FixtureRequest, install: Install) -> Iterator[Installation]:
    """All processes on one stand."""
    with run_stand(request.param) as settings:
        installation = install(RATE_LIMIT_POSTS=f"{MESSAGES}/hour", **settings)
        installation.start(*ROLES)
        yield installation
        installation.stop_all()


def events(waybill: Installation, client: Client, **query: Any) -> dict[str, Any]:
    answer = requests.get(
        f"{waybill.url}/v1/events", params=query, headers=client.headers, timeout=30
    )
    assert answer.status_code == 200, answer.text
    page: dict[str, Any] = answer.json()
    return page


def test_processes_deliver_tell_and_limit(waybill: Installation, provider_url: str) -> None:
    client = Client(waybill)
    start = events(waybill, client, after="now")["next_cursor"]
    posted = [client.post(body=f"text {number}") for number in range(MESSAGES)]
    assert client.send().status_code == 429

    until(lambda: all(client.status(each) == "delivered" for each in posted), 90)
    sent = Running(provider_url, Config()).records()["messages"]
    assert sorted(message["on_air"] for message in sent) == [1] * MESSAGES
    answers = [callback["answer"] for message in sent for callback in message["callbacks"]]
    assert answers
    assert set(answers) == {204}
    until(lambda: told_delivered(waybill, client, start) == set(posted), 30)
    assert all(waybill.is_running(role) for role in ROLES)


def told_delivered(waybill: Installation, client: Client, start: str) -> set[str]:
    """Return the ids of the messages that the event feed shows as delivered."""
    told = set[str]()
    page = events(waybill, client, after=start)
    while page["events"]:
        told |= {
            event["data"]["id"]
            for event in page["events"]
            if event["data"]["status"] == "delivered"
        }
        page = events(waybill, client, after=page["next_cursor"])
    return told
