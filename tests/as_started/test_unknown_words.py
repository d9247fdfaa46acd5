"""Unknown provider statuses in the answer to a send and in a callback."""

from collections.abc import Iterator

import pytest
import requests

from bench.callbacks import signature
from demo.stack import ACCOUNT, TOKEN
from tests.as_started.conftest import Install
from tests.as_started.installation import Client, Installation, until
from tests.stand import Stand, standing

pytestmark = pytest.mark.slow

TIMEOUT = 60.0  # workers took 30 s to start on a busy machine
WORD = "partially_delivered"
SID = "SM" + "0" * 31 + "1"


@pytest.fixture
def twilio() -> Iterator[Stand]:
    with standing() as stand:
        stand.answer(201, {"sid": SID, "status": WORD})
        yield stand


@pytest.fixture
def waybill(install: Install, twilio: Stand) -> Installation:
    installation = install(TWILIO_API_BASE_URL=twilio.url)
    installation.start("web", "worker-send", "worker-status", "beat")
    return installation


def call_back(waybill: Installation, path: str, word: str) -> int:
    form = {"AccountSid": ACCOUNT, "MessageSid": SID, "MessageStatus": word}
    signed = signature(waybill.environment["PUBLIC_BASE_URL"] + path, form, TOKEN)
    headers = {"X-Twilio-Signature": signed}
    return requests.post(waybill.url + path, data=form, headers=headers, timeout=30).status_code


def test_answer_with_a_sid_is_an_acceptance(waybill: Installation, twilio: Stand) -> None:
    client = Client(waybill)
    message_id = client.post(resend_if_unknown=True)

    until(lambda: client.status(message_id) == "accepted", TIMEOUT)
    assert client.message(message_id)["provider_sid"] == SID
    path = twilio.form["StatusCallback"][0].partition("#")[0].removeprefix(waybill.url)
    assert call_back(waybill, path, "a_future_status") == 204
    until(lambda: {"a_future_status", WORD} <= words(waybill, client, message_id), TIMEOUT)
    assert client.status(message_id) == "accepted"
    assert call_back(waybill, path, "delivered") == 204
    until(lambda: client.status(message_id) == "delivered", TIMEOUT)
    assert twilio.methods.count("POST") == 1


def words(waybill: Installation, client: Client, message_id: str) -> set[str]:
    url = f"{waybill.url}/v1/messages/{message_id}/events"
    answer = requests.get(url, headers=client.headers, timeout=30).json()
    return {event["provider_status"] for event in answer["events"]}
