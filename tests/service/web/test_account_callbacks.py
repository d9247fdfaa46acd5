"""A callback is verified with the keys of the account in its path."""

import base64
import hashlib
import hmac
import json
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlencode
from uuid import UUID

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select
from twilio.request_validator import RequestValidator

from service.app import create_app
from service.coordination.callback_checks import Refusals
from service.database import db
from service.models import InboundMessage
from service.operations.overview import read_overview
from service.providers.callback_urls import callback_path
from service.recording import consume_inbox
from service.web.callback_fast_path import CallbackFastPath
from service.web.ops.problems import find_problems
from tests.conftest import ACCOUNT, BASE_URL, SINCH, TOKEN, make_settings

ATTEMPT = UUID(int=7)
MARKETING = "AC00000000000000000000000000000002"
PATH_SECRET = "0123456789abcdef"
FILE = f"""
[[twilio]]
name = "marketing"
account_sid = "{MARKETING}"
api_key_sid = "SK00000000000000000000000000000002"
api_key_secret = "key-secret"
auth_token = "marketing-token"
extra_auth_tokens = [{{ label = "next", token = "marketing-next" }}]

[[sinch]]
name = "eu"
service_plan_id = "plan-eu"
api_token = "token-eu"
callback_secrets = ["eu-secret"]
phone_number = "+46700000001"

[[sinch]]
name = "unsigned"
service_plan_id = "plan-unsigned"
api_token = "token-unsigned"
callback_path_secret = "{PATH_SECRET}"
sender_rates = {{ "+46700000002" = 1 }}
"""


def accounts_app(database_url: str, redis_url: str, path: Path, text: str = FILE) -> Flask:
    path.write_text(text)
    return create_app(make_settings(database_url, redis_url, **SINCH, ACCOUNTS_FILE=str(path)))


@pytest.fixture
def service(app: Flask, database_url: str, redis_url: str, tmp_path: Path) -> Iterator[Flask]:
    service = accounts_app(database_url, redis_url, tmp_path / "accounts.toml")
    yield service
    with service.app_context():
        db.engine.dispose()


@pytest.fixture(params=["flask", "fast path"])
def client(request: pytest.FixtureRequest, service: Flask) -> Iterator[FlaskClient]:
    with pytest.MonkeyPatch.context() as patched:
        if request.param == "fast path":
            patched.setattr(service, "wsgi_app", CallbackFastPath(service))
        yield service.test_client()


def twilio(client: FlaskClient, path: str, token: str, account_sid: str) -> int:
    form = {"AccountSid": account_sid, "MessageSid": "SM" + "0" * 32, "MessageStatus": "sent"}
    return twilio_form(client, path, token, form)


def twilio_form(client: FlaskClient, path: str, token: str, form: dict[str, str]) -> int:
    signature = RequestValidator(token).compute_signature(BASE_URL + path, form)
    headers = {
        "Content-Type": "application/x-www-form-urlencoded",
        "X-Twilio-Signature": signature,
    }
    return client.post(path, data=urlencode(form), headers=headers).status_code


def sinch(client: FlaskClient, path: str, secret: str | None) -> int:
    fields = {"type": "recipient_delivery_report_sms", "status": "Delivered", "code": "0"}
    report = {**fields, "batch_id": "b", "client_reference": str(ATTEMPT)}
    return sinch_json(client, path, secret, report)


def sinch_json(client: FlaskClient, path: str, secret: str | None, fields: dict[str, str]) -> int:
    body = json.dumps(fields).encode()
    stamp = str(int(time.time()))
    digest = hmac.digest(
        (secret or "").encode(), b".".join((body, b"nonce", stamp.encode())), hashlib.sha256
    )
    headers = {
        "x-sinch-webhook-signature": base64.b64encode(digest).decode(),
        "x-sinch-webhook-signature-timestamp": stamp,
        "x-sinch-webhook-signature-nonce": "nonce",
        "x-sinch-webhook-signature-algorithm": "HmacSHA256",
    }
    sent = headers if secret is not None else {}
    return client.post(path, data=body, headers=sent).status_code


OF_DEFAULT = f"/callbacks/twilio/{ATTEMPT}"
OF_MARKETING = f"/callbacks/twilio/marketing/{ATTEMPT}"
CONSOLE = "/callbacks/twilio"


@pytest.mark.parametrize(
    ("path", "token", "account_sid", "status"),
    [
        (OF_DEFAULT, TOKEN, ACCOUNT, 204),
        (OF_MARKETING, "marketing-token", MARKETING, 204),
        (OF_MARKETING, "marketing-next", MARKETING, 204),
        (OF_MARKETING, TOKEN, MARKETING, 403),  # the wrong account's token
        (OF_MARKETING, TOKEN, ACCOUNT, 403),  # another account's callback at this path
        (OF_MARKETING, "marketing-token", ACCOUNT, 403),
        (OF_MARKETING, "key-secret", MARKETING, 403),  # an API key signs nothing
        (OF_DEFAULT, "marketing-token", MARKETING, 403),
        (OF_DEFAULT, "marketing-token", ACCOUNT, 403),
        (CONSOLE, TOKEN, ACCOUNT, 204),
        (CONSOLE, "marketing-token", MARKETING, 204),
        (CONSOLE, "marketing-token", ACCOUNT, 403),
        (f"/callbacks/twilio/gone/{ATTEMPT}", "marketing-token", MARKETING, 403),
    ],
)
def test_twilio_callback_needs_a_token_of_its_account(
    client: FlaskClient, path: str, token: str, account_sid: str, status: int
) -> None:
    assert twilio(client, path, token, account_sid) == status


@pytest.mark.parametrize(
    ("path", "secret", "status"),
    [
        (f"/callbacks/sinch/{ATTEMPT}", "next-secret", 204),
        (f"/callbacks/sinch/{ATTEMPT}", "eu-secret", 403),
        (f"/callbacks/sinch/eu/{ATTEMPT}", "eu-secret", 204),
        (f"/callbacks/sinch/eu/{ATTEMPT}", "next-secret", 403),
        (f"/callbacks/sinch/eu/{ATTEMPT}", "", 403),
        (f"/callbacks/sinch/eu/{ATTEMPT}", None, 403),
        (f"/callbacks/sinch/unsigned.{PATH_SECRET}/{ATTEMPT}", None, 204),
        (f"/callbacks/sinch/unsigned.{PATH_SECRET}x/{ATTEMPT}", None, 403),
        (f"/callbacks/sinch/unsigned/{ATTEMPT}", "eu-secret", 403),
        (f"/callbacks/sinch/{PATH_SECRET}/{ATTEMPT}", None, 403),
        (f"/callbacks/sinch/eu.{PATH_SECRET}/{ATTEMPT}", None, 403),
        ("/callbacks/sinch", "eu-secret", 204),
        ("/callbacks/sinch", "SMSWebhooksSecret", 204),
        ("/callbacks/sinch", "", 403),
    ],
)
def test_sinch_callback_needs_a_secret_of_its_account(
    client: FlaskClient, path: str, secret: str | None, status: int
) -> None:
    assert sinch(client, path, secret) == status


STRANGER = "+14155552671"


def recorded(service: Flask) -> list[tuple[str, str]]:
    """Record what is stored; return account and recipient of the inbound messages."""
    with service.app_context():
        consume_inbox.consume_inbox()
        columns = InboundMessage.account, InboundMessage.to_address
        return [(row[0], row[1]) for row in db.session.execute(select(*columns))]


@pytest.mark.parametrize(
    ("path", "token", "account_sid", "status", "account"),
    [
        ("/inbound/twilio", TOKEN, ACCOUNT, 200, "default"),
        ("/inbound/twilio", "marketing-token", MARKETING, 200, "marketing"),
        ("/inbound/twilio", "marketing-token", ACCOUNT, 403, None),
        ("/inbound/twilio/marketing", "marketing-token", MARKETING, 200, "marketing"),
        ("/inbound/twilio/marketing", "marketing-next", MARKETING, 200, "marketing"),
        ("/inbound/twilio/marketing", TOKEN, ACCOUNT, 403, None),
        ("/inbound/twilio/default", TOKEN, ACCOUNT, 200, "default"),
        ("/inbound/twilio/default", "marketing-token", MARKETING, 403, None),
        ("/inbound/twilio/gone", "marketing-token", MARKETING, 403, None),
        ("/callbacks/twilio", "marketing-token", MARKETING, 200, "marketing"),
    ],
)
def test_message_to_a_twilio_account_needs_its_token(
    client: FlaskClient, path: str, token: str, account_sid: str, status: int, account: str | None
) -> None:
    fields = {"AccountSid": account_sid, "MessageSid": "SM1", "NumMedia": "0", "From": STRANGER}
    assert twilio_form(client, path, token, {**fields, "To": "+15005550006"}) == status
    expected = [] if account is None else [(account, "+15005550006")]
    assert recorded(client.application) == expected


@pytest.mark.parametrize(
    ("path", "secret", "status", "to", "account"),
    [
        ("/inbound/sinch", "next-secret", 200, "447700900001", "default"),
        ("/inbound/sinch", "eu-secret", 200, "46700000001", "eu"),
        ("/inbound/sinch", "wrong", 403, "447700900001", None),
        ("/inbound/sinch", None, 403, "447700900001", None),
        ("/inbound/sinch/eu", "eu-secret", 200, "46700000001", "eu"),
        ("/inbound/sinch/eu", "next-secret", 403, "46700000001", None),
        (f"/inbound/sinch/unsigned.{PATH_SECRET}", None, 200, "46700000002", "unsigned"),
        (f"/inbound/sinch/unsigned.{PATH_SECRET}x", None, 403, "46700000002", None),
        ("/inbound/sinch/unsigned", None, 403, "46700000002", None),
        (f"/inbound/sinch/{PATH_SECRET}", None, 403, "46700000002", None),
        (f"/inbound/sinch/eu.{PATH_SECRET}", None, 403, "46700000002", None),
    ],
)
def test_message_to_a_sinch_account_needs_its_secret(
    client: FlaskClient, path: str, secret: str | None, status: int, to: str, account: str | None
) -> None:
    """Sinch's body has no account: the number tells it."""
    fields = {"type": "mo_text", "id": "ID1", "from": STRANGER[1:], "to": to, "body": "Hello"}
    assert sinch_json(client, path, secret, fields) == status
    expected = [] if account is None else [(account, f"+{to}")]
    assert recorded(client.application) == expected


@pytest.mark.parametrize(("secret", "status"), [(PATH_SECRET, 200), (f"{PATH_SECRET}x", 403)])
def test_secret_of_the_default_account_is_the_last_part(
    app: Flask, database_url: str, redis_url: str, secret: str, status: int
) -> None:
    changes = {"SINCH_CALLBACK_SECRETS": "", "SINCH_CALLBACK_PATH_SECRET": PATH_SECRET}
    alone = create_app(make_settings(database_url, redis_url, **{**SINCH, **changes}))
    fields = {"type": "mo_text", "id": "ID1", "from": STRANGER[1:], "to": "447700900001"}
    assert sinch_json(alone.test_client(), f"/inbound/sinch/{secret}", None, fields) == status
    assert recorded(alone) == ([("default", "+447700900001")] if status == 200 else [])
    with alone.app_context():
        db.engine.dispose()


def test_callback_urls_name_the_account(service: Flask) -> None:
    paths = {
        ("twilio", "default", None): OF_DEFAULT,
        ("twilio", "marketing", None): OF_MARKETING,
        ("sinch", "unsigned", PATH_SECRET): f"/callbacks/sinch/unsigned.{PATH_SECRET}/{ATTEMPT}",
        ("sinch", "default", PATH_SECRET): f"/callbacks/sinch/{PATH_SECRET}/{ATTEMPT}",
    }
    for (provider, account, secret), path in paths.items():
        assert callback_path(provider, account, ATTEMPT, secret) == path


def shown(service: Flask) -> str:
    with service.app_context():
        return " ".join(str(problem) for problem in find_problems(read_overview()))


def test_wrong_token_of_one_account_is_reported_in_spite_of_the_other(
    service: Flask, client: FlaskClient
) -> None:
    twilio(client, OF_MARKETING, "wrong", MARKETING)
    twilio(client, OF_DEFAULT, TOKEN, ACCOUNT)
    checks = service.extensions["waybill"].callback_checks
    assert checks.all_refused() == [Refusals("twilio/marketing", "mismatch", 1)]
    assert "All callbacks of twilio/marketing are refused" in shown(service)
    assert "auth_token of this account" in shown(service)


def test_wrong_address_of_messages_is_reported_in_spite_of_callbacks(
    service: Flask, client: FlaskClient
) -> None:
    """Each has its own address: that of messages is in the provider's console."""
    fields = {"AccountSid": MARKETING, "MessageSid": "SM1", "NumMedia": "0"}
    for path in ("/inbound/twilio", "/inbound/twilio/marketing"):
        twilio_form(client, path, "wrong", fields)
    twilio(client, OF_MARKETING, "marketing-token", MARKETING)
    twilio(client, OF_DEFAULT, TOKEN, ACCOUNT)
    checks = service.extensions["waybill"].callback_checks
    assert checks.all_refused() == [
        Refusals("twilio/(inbound)", "mismatch", 1),
        Refusals("twilio/marketing/(inbound)", "mismatch", 1),
    ]
    assert "All callbacks of twilio/(inbound) are refused" in shown(service)


def test_removed_account_is_reported(
    service: Flask, redis_url: str, database_url: str, tmp_path: Path
) -> None:
    text = FILE.replace('"marketing"', '"renamed"').replace('"eu"', '"renamed"')
    later = accounts_app(database_url, redis_url, tmp_path / "later.toml", text)
    client = later.test_client()
    assert twilio(client, OF_MARKETING, "marketing-token", MARKETING) == 403
    assert twilio(client, OF_DEFAULT, TOKEN, ACCOUNT) == 204
    assert sinch(client, f"/callbacks/sinch/eu/{ATTEMPT}", "eu-secret") == 403
    checks = later.extensions["waybill"].callback_checks
    assert checks.all_refused() == [
        Refusals("sinch/(unknown)", "account_not_configured", 1),
        Refusals("twilio/(unknown)", "account_not_configured", 1),
    ]
    assert "an account that is not configured" in shown(later)
    assert "ACCOUNTS_FILE" in shown(later)
    with later.app_context():
        db.engine.dispose()
