"""Failover between real processes: Twilio stops accepting messages, or stops answering."""

from collections import Counter
from time import monotonic, sleep

import pytest

from demo.stack import ACCOUNT, CALLBACK_SECRET, PLAN, PLAN_TOKEN
from simulator.config import Config
from simulator.running import Running
from tests.as_started.conftest import Install
from tests.as_started.installation import Client, Installation, until

pytestmark = pytest.mark.slow

FAILOVER_AFTER = 3
SINCH_SENDER = "+447700900001"
PROVIDERS = {ACCOUNT: "twilio", PLAN: "sinch"}


@pytest.fixture
def waybill(install: Install, provider_url: str) -> Installation:
    """Twilio first, Sinch second, both simulated."""
    installation = install(
        SMS_ROUTES="*:twilio>sinch",
        SINCH_SERVICE_PLAN_ID=PLAN,
        SINCH_API_TOKEN=PLAN_TOKEN,
        SINCH_CALLBACK_SECRETS=CALLBACK_SECRET,
        SINCH_PHONE_NUMBER=SINCH_SENDER,
        SINCH_API_BASE_URL=provider_url,
        TWILIO_READ_TIMEOUT="2",
    )
    installation.export(FAILOVER_AFTER=str(FAILOVER_AFTER))
    installation.start("web", "worker-send", "worker-status", "beat")
    return installation


@pytest.fixture
def simulator(provider_url: str) -> Running:
    return Running(provider_url, Config())


def on_air(simulator: Running) -> Counter[tuple[str, str]]:
    """Return how often each text went on the air, by its provider."""
    return Counter(
        (PROVIDERS[message["account"]], message["text"])
        for message in simulator.records()["messages"]
        for _ in message["on_air_at"]
    )


def test_new_messages_go_by_sinch_when_twilio_accepts_none(
    waybill: Installation, simulator: Running
) -> None:
    client = Client(waybill)
    first = client.post(body="before")
    until(lambda: client.status(first) == "delivered", 20)
    simulator.add_outage(provider="twilio", status=429)
    began = monotonic()
    posted = {f"text {number}": client.post(body=f"text {number}") for number in range(20)}

    def settled() -> bool:
        return all(client.status(message_id) == "delivered" for message_id in posted.values())

    until(settled, 40)
    assert monotonic() - began < 30
    late = client.post(body="late")
    until(lambda: client.status(late) == "delivered", 15)
    sinch = {text for provider, text in on_air(simulator) if provider == "sinch"}
    assert sinch == {*posted, "late"}
    assert set(on_air(simulator).values()) == {1}

    simulator.end_outages()
    until(lambda: _is_sent_by_twilio(client), 90)


def _is_sent_by_twilio(client: Client) -> bool:
    message_id = client.post(body="after")
    until(lambda: client.status(message_id) == "delivered", 15)
    return bool(client.message(message_id)["provider"] == "twilio")


@pytest.mark.parametrize("fault", ["timeout", "timeout-unprocessed"])
def test_no_message_moves_when_twilio_hangs(
    waybill: Installation, simulator: Running, fault: str
) -> None:
    client = Client(waybill)
    simulator.add_outage(provider="twilio", fault=fault)
    posted = [client.post(body=f"text {number}") for number in range(3)]
    sleep(FAILOVER_AFTER + 1)
    posted.append(client.post(body="new"))
    ended = ("failed", "delivered")
    until(lambda: all(client.status(message_id) in ended for message_id in posted), 60)
    assert all(client.message(message_id)["provider"] == "twilio" for message_id in posted)
    # Kept by Twilio, each message is on the air once; else never.
    assert sum(on_air(simulator).values()) == (4 if fault == "timeout" else 0)
    assert {provider for provider, _ in on_air(simulator)} <= {"twilio"}
    assert set(on_air(simulator).values()) <= {1}
