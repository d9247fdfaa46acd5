"""A message, or its client, names the account that sends it."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from service.app import create_app
from service.database import db
from tests.conftest import SINCH, make_key, make_settings

MARKETING = "MG" + "0" * 31 + "1"
FILE = f"""
[[twilio]]
name = "marketing"
account_sid = "AC00000000000000000000000000000002"
auth_token = "t"
messaging_service_sid = "{MARKETING}"
sender_rates = {{ "ACME" = 1 }}

[[twilio]]
name = "nordic"
account_sid = "AC00000000000000000000000000000003"
auth_token = "t"
phone_number = "+46700000001"
routes = ["+46"]

[[sinch]]
name = "eu"
service_plan_id = "plan-eu"
api_token = "t"
callback_secrets = ["s"]
phone_number = "+447700900002"
"""


@pytest.fixture
def service(app: Flask, database_url: str, redis_url: str, tmp_path: Path) -> Iterator[Flask]:
    path = tmp_path / "accounts.toml"
    path.write_text(FILE)
    service = create_app(make_settings(database_url, redis_url, **SINCH, ACCOUNTS_FILE=str(path)))
    yield service
    with service.app_context():
        db.engine.dispose()


Posted = Callable[..., Any]


@pytest.fixture
def posted(service: Flask) -> Posted:
    return client(service, make_key(service, "billing"))


def client(service: Flask, key: str) -> Posted:
    web: FlaskClient = service.test_client()
    headers = {"Authorization": f"Bearer {key}"}

    def post(**fields: Any) -> Any:
        message = {"to": "+14155552671", "body": "Hello", **fields}
        return web.post("/v1/messages", json=message, headers=headers)

    return post


def chosen(answer: Any) -> tuple[str, str, str | None]:
    message = answer.json
    assert answer.status_code == 202, message
    sender = message["from"] or message["messaging_service_sid"]
    return message["provider"], message["account"], sender


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({}, ("twilio", "default", "+15005550006")),
        ({"to": "+46701740605"}, ("twilio", "nordic", "+46700000001")),
        ({"account": "marketing"}, ("twilio", "marketing", MARKETING)),
        ({"account": "eu"}, ("sinch", "eu", "+447700900002")),
        ({"account": "default", "provider": "sinch"}, ("sinch", "default", "+447700900001")),
        ({"from": "+46700000001"}, ("twilio", "nordic", "+46700000001")),
        ({"from": "+447700900002"}, ("sinch", "eu", "+447700900002")),
        ({"from": "ACME"}, ("twilio", "marketing", "ACME")),
        ({"from": "OTHER"}, ("twilio", "default", "OTHER")),
        ({"from": "OTHER", "account": "eu"}, ("sinch", "eu", "OTHER")),
        ({"messaging_service_sid": MARKETING}, ("twilio", "marketing", MARKETING)),
        (
            {"messaging_service_sid": "MG" + "9" * 32, "account": "nordic"},
            ("twilio", "nordic", "MG" + "9" * 32),
        ),
    ],
)
def test_account_is_chosen_by_message_sender_and_route(
    posted: Posted, fields: dict[str, Any], expected: tuple[str, str, str]
) -> None:
    assert chosen(posted(**fields)) == expected


@pytest.mark.parametrize(
    ("fields", "field", "advice"),
    [
        ({"account": "nobody"}, "account", "must be an account of"),
        ({"account": "eu", "provider": "twilio"}, "account", "default, marketing, nordic"),
        ({"account": "eu", "to": "whatsapp:+14155552671"}, "to", "leave out account"),
        ({"account": "eu", "media_urls": ["https://example.com/a.png"]}, "media_urls", "account"),
        (
            {"account": "eu", "messaging_service_sid": MARKETING},
            "messaging_service_sid",
            "leave out account",
        ),
        ({"account": "nordic", "from": "ACME"}, "from", "belongs to marketing"),
        ({"account": "marketing", "from": "+447700900002"}, "from", "belongs to sinch"),
        ({"account": ""}, "account", "at least 1"),
        ({"account": 5}, "account", "string"),
    ],
)
def test_account_that_cannot_send_a_message_is_refused(
    posted: Posted, fields: dict[str, Any], field: str, advice: str
) -> None:
    answer = posted(**fields)
    assert answer.status_code == 422
    [error] = answer.json["errors"]
    assert error["field"] == field
    assert advice in error["message"]


def test_client_has_a_default_account(service: Flask) -> None:
    runner = service.test_cli_runner()
    made = runner.invoke(args=["clients", "create", "shop", "--account", "eu"])
    post = client(service, made.output.strip())
    assert chosen(post())[:2] == ("sinch", "eu")
    assert chosen(post(to="whatsapp:+14155552671", **{"from": "whatsapp:+15005550006"}))[0] == (
        "twilio"
    )
    assert chosen(post(account="marketing"))[:2] == ("twilio", "marketing")
    assert chosen(post(provider="twilio"))[:2] == ("twilio", "default")
    assert chosen(post(**{"from": "+46700000001"}))[:2] == ("twilio", "nordic")


def test_default_account_that_was_removed_is_ignored(service: Flask, app: Flask) -> None:
    runner = service.test_cli_runner()
    made = runner.invoke(args=["clients", "create", "shop", "--account", "eu"])
    assert chosen(client(app, made.output.strip())())[:2] == ("twilio", "default")


def test_test_key_uses_no_account(service: Flask) -> None:
    made = service.test_cli_runner().invoke(args=["clients", "create", "shop", "--test"])
    assert chosen(client(service, made.output.strip())(account="eu"))[:2] == ("sandbox", "default")


def test_messages_of_a_batch_name_their_accounts(service: Flask) -> None:
    headers = {"Authorization": f"Bearer {make_key(service, 'billing')}"}
    message = {"to": "+14155552671", "body": "Hello"}
    messages = [{**message, "account": name} for name in ("eu", "nobody", "marketing")]
    answer = service.test_client().post(
        "/v1/messages/batch", json={"messages": messages}, headers=headers
    )
    results = answer.json["results"]
    assert [result["status"] for result in results] == [202, 422, 202]
    assert results[0]["message"]["account"] == "eu"


def at(**ahead: float) -> str:
    return (datetime.now(UTC) + timedelta(**ahead)).isoformat()


@pytest.mark.parametrize(
    ("fields", "advice"),
    [
        ({"expires_at": at(seconds=-1)}, "future"),
        ({"expires_at": at(days=36)}, "at most 35 days"),
        ({"expires_at": at(hours=1), "send_at": at(hours=2)}, "later than send_at"),
        ({"expires_at": at(hours=1), "validity_period": 60}, "validity_period"),
        ({"expires_at": "2026-12-24"}, "offset"),
        ({"expires_at": 1_900_000_000}, "offset"),
    ],
)
def test_unusable_expires_at_is_refused(
    posted: Posted, fields: dict[str, Any], advice: str
) -> None:
    answer = posted(**fields)
    assert answer.status_code == 422
    [error] = answer.json["errors"]
    assert error["field"] == "expires_at"
    assert advice in error["message"]


def test_expires_at_is_shown_in_utc(posted: Posted) -> None:
    moment = datetime.now(UTC).replace(microsecond=0) + timedelta(hours=3)
    local = moment.astimezone(tz=None).isoformat()
    shown = posted(expires_at=local).json["expires_at"]
    assert datetime.fromisoformat(shown) == moment
