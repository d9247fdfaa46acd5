"""Conversations between a person and real processes: STOP, START, and redeliveries."""

from typing import Any, NamedTuple

import pytest
import requests

from demo.stack import ACCOUNT, CALLBACK_SECRET, PLAN, PLAN_TOKEN, SENDER
from simulator.config import Config
from simulator.running import Running
from tests.as_started.conftest import Install
from tests.as_started.installation import Client, Installation, until

pytestmark = pytest.mark.slow

PERSON = "+14155552671"
SINCH_SENDER = "+447700900001"


class Side(NamedTuple):
    """A provider, our account and our number there."""

    provider: str
    account: str
    number: str
    service: str = ""  # the Messaging Service of the number


TWILIO, SINCH = Side("twilio", ACCOUNT, SENDER), Side("sinch", PLAN, SINCH_SENDER)
SERVICE = Side("twilio", ACCOUNT, SENDER, "MG00000000000000000000000000000001")


class Conversation:
    """A client, a person, and the books of the provider between them."""

    def __init__(self, waybill: Installation, simulator: Running, side: Side) -> None:
        self.client = Client(waybill)
        self.simulator = simulator
        self._side = side
        self._inbound = f"{waybill.url}/v1/inbound"

    def send(self, status: str) -> str:
        """Post a message to the person, and wait until it has this status; return its id."""
        message_id = self.client.post(to=PERSON)
        until(lambda: self.client.status(message_id) == status, 20)
        return message_id

    def write(self, body: str, *faults: str) -> dict[str, Any]:
        """Let the person write; return the provider's record."""
        return self.simulator.write(
            PERSON,
            body,
            provider=self._side.provider,
            to=self._side.number,
            messaging_service_sid=self._side.service or None,
            faults=faults,
        )

    def hear(self, body: str, *faults: str) -> dict[str, Any]:
        """Let the person write, and wait until Waybill shows it; return the provider's record."""
        entry = self.write(body, *faults)
        assert entry["acknowledged"], entry
        # Twilio would send an answer in plain text to the person.
        assert (entry["texts"], entry["error_codes"]) == ([], []), entry
        until(lambda: body in self.bodies(), 20)
        return entry

    def heard(self) -> list[dict[str, Any]]:
        """Return the inbound messages as the API shows them."""
        answer = requests.get(self._inbound, headers=self.client.headers, timeout=30)
        answer.raise_for_status()
        return list(answer.json()["messages"])

    def bodies(self) -> list[str]:
        """Return the texts of the inbound messages."""
        return [message["body"] for message in self.heard()]

    @property
    def calls(self) -> int:
        """Return how many create requests the provider got."""
        return int(self.simulator.account(self._side.account)["creates"])


@pytest.fixture(params=[TWILIO, SINCH], ids=["twilio", "sinch"])
def conversation(
    request: pytest.FixtureRequest, install: Install, provider_url: str
) -> Conversation:
    side: Side = request.param
    waybill = install(
        SMS_ROUTES=f"*:{side.provider}",
        TWILIO_MESSAGING_SERVICE_SID=side.service,
        SINCH_SERVICE_PLAN_ID=PLAN,
        SINCH_API_TOKEN=PLAN_TOKEN,
        SINCH_CALLBACK_SECRETS=CALLBACK_SECRET,
        SINCH_PHONE_NUMBER=SINCH_SENDER,
        SINCH_API_BASE_URL=provider_url,
    )
    waybill.export(INBOUND_LIST_EVERY="5")
    waybill.start("web", "worker-send", "worker-status", "beat")
    simulator = Running(provider_url, Config())
    simulator.set_inbound_urls(**{side.provider: f"{waybill.url}/inbound/{side.provider}"})
    return Conversation(waybill, simulator, side)


@pytest.mark.parametrize(
    "conversation", [TWILIO, SERVICE, SINCH], ids=["twilio", "service", "sinch"], indirect=True
)
def test_stop_ends_messages_until_start(conversation: Conversation) -> None:
    """A redelivered STOP after START changes nothing; the provider's books show the calls."""
    answered = conversation.send("delivered")
    stop = conversation.hear("STOP", "duplicate", "lost-try")
    calls = conversation.calls
    conversation.send("failed")
    assert conversation.calls == calls

    conversation.hear("START")
    conversation.send("delivered")
    assert conversation.calls == calls + 1

    again = conversation.simulator.repeat_inbound(stop["sid"])["callbacks"]
    assert (len(again), again[-1]["answer"]) == (len(stop["callbacks"]) + 1, 200)
    conversation.hear("Thank you")
    conversation.send("delivered")
    assert conversation.calls == calls + 2
    assert sorted(conversation.bodies()) == ["START", "STOP", "Thank you"]
    answers = {each["body"]: each["in_reply_to"] for each in conversation.heard()}
    assert answers["STOP"] == answered


def test_missed_messages_are_found_in_the_list(conversation: Conversation) -> None:
    """A STOP that never came counts; a START that came later counts more than an older STOP."""
    conversation.send("delivered")
    missed = [conversation.write("STOP", "drop"), conversation.write("Hello", "drop")]
    assert not any(entry["acknowledged"] for entry in missed)
    until(lambda: sorted(conversation.bodies()) == ["Hello", "STOP"], 90)
    calls = conversation.calls
    conversation.send("failed")
    assert conversation.calls == calls

    conversation.write("stop", "drop")
    conversation.hear("START")
    until(lambda: "stop" in conversation.bodies(), 90)
    conversation.send("delivered")
    assert conversation.calls == calls + 1
