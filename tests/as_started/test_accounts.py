"""Several accounts, or only one provider, in processes started as in README.md."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from demo.stack import simulated_provider
from simulator.config import Config
from simulator.running import Running
from tests.as_started.conftest import Install
from tests.as_started.installation import Client, until

pytestmark = pytest.mark.slow

ROLES = ("web", "worker-send", "worker-status", "beat")
SHOP, ALERTS = "AC00000000000000000000000000000002", "AC00000000000000000000000000000003"
KEY = "SK00000000000000000000000000000002"
PLAN = {
    "SINCH_SERVICE_PLAN_ID": "second-plan",
    "SINCH_API_TOKEN": "plan-token",
    "SINCH_CALLBACK_SECRETS": "plan-secret",
    "SINCH_PHONE_NUMBER": "+447700900001",
}
PROJECT = {
    "SINCH_PROJECT_ID": "project-1",
    "SINCH_KEY_ID": "key-1",
    "SINCH_KEY_SECRET": "key-secret",
    "SINCH_CALLBACK_SECRETS": "project-secret",
    "SINCH_PHONE_NUMBER": "+447700900001",
}
NO_TWILIO = dict.fromkeys(("TWILIO_ACCOUNT_SID", "TWILIO_AUTH_TOKEN", "TWILIO_PHONE_NUMBER"), "")

AT_PROVIDER = f"""
[[twilio]]
sid = "{SHOP}"
auth_token = "shop-token"
api_keys = {{ {KEY} = "key-secret" }}

[[twilio]]
sid = "{ALERTS}"
auth_token = "alerts-token"

[[sinch]]
service_plan = "second-plan"
api_token = "plan-token"
callback_secret = "plan-secret"

[[sinch_project]]
project = "project-1"
access_keys = {{ key-1 = "key-secret" }}
callback_secret = "project-secret"
"""
OURS = f"""
[[twilio]]
name = "shop"
account_sid = "{SHOP}"
auth_token = "shop-token"
api_key_sid = "{KEY}"
api_key_secret = "key-secret"
phone_number = "+15005550006"

[[twilio]]
name = "alerts"
account_sid = "{ALERTS}"
auth_token = "alerts-token"
phone_number = "+15005550006"
"""


@pytest.fixture
def provider(place: Path) -> Iterator[Running]:
    accounts = place / "at-provider.toml"
    accounts.write_text(AT_PROVIDER)
    options = ("--pace", "0.2", "--outcome", "delivered=1", "--accounts", str(accounts))
    (place / "simulator").mkdir()
    with simulated_provider(place / "simulator", options) as url:
        yield Running(url, Config())


def test_suspended_account_does_not_touch_the_other(
    install: Install, provider: Running, place: Path
) -> None:
    accounts = place / "accounts.toml"
    accounts.write_text(OURS)
    settings = {
        "ACCOUNTS_FILE": str(accounts),
        "TWILIO_API_BASE_URL": provider.url,
        "FAILOVER_AFTER": "2",
    }
    waybill = install(**NO_TWILIO, **settings)
    waybill.start(*ROLES)
    client = Client(waybill)
    outage = provider.add_outage(provider="twilio", account=ALERTS, code=20005)

    numbers = range(25)
    alerts = [client.post(account="alerts", to=f"+14155550{n:03}") for n in numbers]
    until(lambda: provider.account(ALERTS)["refused"] != {}, 20)
    shop = [client.post(account="shop", to=f"+14155551{n:03}") for n in numbers]
    until(lambda: {client.status(sent) for sent in shop} == {"delivered"}, 30)

    assert provider.refusals(SHOP) == []
    assert provider.account(SHOP)["accepted"] == len(shop)
    assert provider.account(SHOP)["unauthorized"] == 0
    assert {client.status(waiting) for waiting in alerts} == {"pending"}
    assert provider.account(ALERTS)["accepted"] == 0
    # One message is tried now and then, not each of them.
    assert len(provider.refusals(ALERTS)) < len(alerts)

    provider.end_outages()
    assert outage["id"]
    until(lambda: {client.status(waiting) for waiting in alerts} == {"delivered"}, 90)
    assert provider.account(ALERTS)["accepted"] == len(alerts)
    shown = client.message(alerts[0])
    assert (shown["provider"], shown["account"]) == ("twilio", "alerts")


@pytest.mark.parametrize("settings", [PLAN, PROJECT], ids=["service plan", "project"])
def test_waybill_runs_without_twilio(
    install: Install, provider: Running, settings: dict[str, str]
) -> None:
    urls = {"SINCH_API_BASE_URL": provider.url, "TWILIO_API_BASE_URL": "https://api.twilio.com"}
    waybill = install(**NO_TWILIO, **settings, **urls)
    waybill.start(*ROLES)
    client = Client(waybill)
    message_id = client.post()
    until(lambda: client.status(message_id) == "delivered", 30)
    assert client.message(message_id)["provider"] == "sinch"
    refused = client.send(provider="twilio")
    assert (refused.status_code, refused.json()["errors"][0]["field"]) == (422, "provider")
