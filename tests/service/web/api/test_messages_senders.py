"""The sender decides over routes, and belongs to the channel of the recipient."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from flask_migrate import upgrade

from service.app import create_app
from service.database import db, schema
from tests.conftest import SINCH, make_key, make_settings

SWEDEN, NUMBER = "+46701740605", "+14155552671"
SERVICE = "MG" + "0" * 32
TWILIOS, SINCHS = "+15005550006", SINCH["SINCH_PHONE_NUMBER"]
PICTURE = ["https://example.com/a.png"]


@pytest.fixture(scope="module")
def routed(redis_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Flask]:
    """An application with two providers: which of them is asked does not depend on the database."""
    path: Path = tmp_path_factory.mktemp("routed")
    app = create_app(
        make_settings(
            f"sqlite:///{path}/waybill.db", redis_url, **SINCH, SMS_ROUTES="+46:sinch,*:twilio"
        )
    )
    schema.prepare(app)
    with app.app_context():
        upgrade()
    yield app
    with app.app_context():
        db.engine.dispose()


@pytest.fixture(scope="module", params=["billing", "--test"])
def clients(routed: Flask, request: pytest.FixtureRequest) -> FlaskClient:
    """A client with a live key, and one with a test key: both get the same answers."""
    if request.param == "billing":
        key = make_key(routed, "billing")
    else:
        made = routed.test_cli_runner().invoke(args=["clients", "create", "tests", "--test"])
        key = made.output.strip()
    client = routed.test_client()
    client.environ_base["HTTP_AUTHORIZATION"] = f"Bearer {key}"
    return client


def post(web: FlaskClient, **fields: Any) -> Any:
    return web.post("/v1/messages", json={"to": NUMBER, "body": "Hello", **fields})


@pytest.mark.parametrize(
    ("fields", "provider", "sender"),
    [
        ({"to": SWEDEN}, "sinch", SINCHS),
        ({"to": SWEDEN, "from": "+1 500 555 0006"}, "twilio", TWILIOS),
        ({"to": SWEDEN, "messaging_service_sid": SERVICE}, "twilio", None),
        ({"to": SWEDEN, "from": "ACME"}, "sinch", "ACME"),
        ({"to": SWEDEN, "from": SINCHS}, "sinch", SINCHS),
        ({"from": SINCHS}, "sinch", SINCHS),
        ({"from": "ACME"}, "twilio", "ACME"),
        ({"to": f"whatsapp:{SWEDEN}", "from": f"whatsapp:{TWILIOS}"}, "twilio", None),
        ({"to": f"whatsapp:{SWEDEN}", "messaging_service_sid": SERVICE}, "twilio", None),
    ],
)
def test_sender_of_one_provider_overrides_routes(
    clients: FlaskClient, fields: dict[str, Any], provider: str, sender: str | None
) -> None:
    answer = post(clients, **fields)
    assert answer.status_code == 202, answer.json
    made = answer.json
    assert made["provider"] == ("sandbox" if made["test"] else provider)
    assert sender is None or made["from"] == sender


@pytest.mark.parametrize(
    ("fields", "field", "words"),
    [
        ({"provider": "sinch", "from": TWILIOS}, "from", ["sinch", "twilio"]),
        ({"provider": "twilio", "from": SINCHS}, "from", ["sinch", "twilio"]),
        (
            {"provider": "sinch", "messaging_service_sid": SERVICE},
            "messaging_service_sid",
            ["sinch", "twilio"],
        ),
        ({"from": SINCHS, "messaging_service_sid": SERVICE}, "from", ["sinch", "twilio"]),
        ({"to": SWEDEN, "media_urls": PICTURE}, "media_urls", ["supported by sinch", "twilio"]),
        ({"to": f"whatsapp:{NUMBER}"}, "from", ["whatsapp", "sms"]),
        ({"to": f"rcs:{NUMBER}"}, "from", ["rcs", "sms"]),
        ({"to": f"whatsapp:{NUMBER}", "from": TWILIOS}, "from", ["whatsapp", "sms"]),
        ({"to": f"whatsapp:{NUMBER}", "from": "ACME"}, "from", ["whatsapp", "sms"]),
        ({"from": f"whatsapp:{TWILIOS}"}, "from", ["whatsapp", "sms"]),
        ({"from": "rcs:agent"}, "from", ["rcs", "sms"]),
        (
            {"from": f"whatsapp:{TWILIOS}", "messaging_service_sid": SERVICE},
            "from",
            ["whatsapp", "sms"],
        ),
        ({"to": TWILIOS}, "from", ["must differ from to"]),
        ({"to": TWILIOS, "from": "+1 500 555 0006"}, "from", ["must differ from to"]),
        ({"provider": "unknown"}, "provider", ["sinch, twilio"]),
    ],
)
def test_sender_that_does_not_fit_is_refused_with_a_reason(
    clients: FlaskClient, fields: dict[str, Any], field: str, words: list[str]
) -> None:
    answer = post(clients, **fields)
    assert answer.status_code == 422, answer.json
    [error] = answer.json["errors"]
    assert error["field"] == field
    assert all(word in error["message"] for word in words), error


@pytest.mark.parametrize(
    ("default", "to", "status"),
    [
        ({"TWILIO_PHONE_NUMBER": f"WhatsApp:{TWILIOS}"}, f"whatsapp:{NUMBER}", 202),
        ({"TWILIO_PHONE_NUMBER": f"whatsapp:{TWILIOS}"}, NUMBER, 422),
        ({"TWILIO_MESSAGING_SERVICE_SID": SERVICE}, f"whatsapp:{NUMBER}", 202),
        ({"TWILIO_MESSAGING_SERVICE_SID": SERVICE}, NUMBER, 202),
    ],
)
def test_default_sender_fits_the_channel(
    routed: Flask, redis_url: str, default: dict[str, str], to: str, status: int
) -> None:
    url = routed.config["SQLALCHEMY_DATABASE_URI"]
    app = create_app(make_settings(url, redis_url, **default))
    web = app.test_client()
    web.environ_base["HTTP_AUTHORIZATION"] = f"Bearer {make_key(app, 'defaults')}"
    content = {"body": None, "content_sid": "HX" + "0" * 32}
    assert post(web, to=to, **content).status_code == status
    with app.app_context():
        db.engine.dispose()
