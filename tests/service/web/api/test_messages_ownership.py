"""With SENDER_OWNERSHIP=enforced a client posts only from its own senders."""

from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from service.domain.account import DEFAULT_ACCOUNT
from service.providers.sandbox import SANDBOX
from tests.conftest import make_key

DEFAULT, OWN, OTHERS = "+15005550006", "+15005550001", "+15005550002"
SERVICE, OTHER_SERVICE = "MG" + "1" * 32, "MG" + "2" * 32


def give(app: Flask, name: str, sender: str, *options: str) -> None:
    command = ["clients", "senders", "add", name, sender, *options]
    made = app.test_cli_runner().invoke(args=command)
    assert made.exit_code == 0, made.output


def client_of(app: Flask, key: str) -> FlaskClient:
    client = app.test_client()
    client.environ_base["HTTP_AUTHORIZATION"] = f"Bearer {key}"
    return client


def post(web: FlaskClient, headers: dict[str, str] | None = None, **fields: Any) -> Any:
    message = {"to": "+14155552671", "body": "Hello", **fields}
    return web.post("/v1/messages", json=message, headers=headers)


@pytest.fixture
def enforced(configure: Callable[..., None]) -> Callable[..., None]:
    configure(sender_ownership="enforced")
    return configure


@pytest.fixture
def others(app: Flask, web: FlaskClient) -> FlaskClient:
    """Another client; both have a number and a service."""
    other = client_of(app, make_key(app, "marketing"))
    for name, senders in {"billing": (OWN, SERVICE), "marketing": (OTHERS, OTHER_SERVICE)}.items():
        for sender in senders:
            give(app, name, sender)
    return other


@pytest.mark.usefixtures("enforced")
@pytest.mark.parametrize(
    ("own", "other"),
    [
        ({"from": OWN}, {"from": OTHERS}),
        ({"from": "+1 500 555 0001"}, {"from": "+1 500 555 0002"}),
        ({"messaging_service_sid": SERVICE}, {"messaging_service_sid": OTHER_SERVICE}),
    ],
)
def test_client_cannot_post_from_a_sender_of_another(
    web: FlaskClient, others: FlaskClient, own: dict[str, str], other: dict[str, str]
) -> None:
    assert post(web, **own).status_code == 202
    assert post(others, **other).status_code == 202
    for client, fields in ((web, other), (others, own)):
        refused = post(client, **fields)
        assert refused.status_code == 422
        [error] = refused.json["errors"]
        assert error["field"] == next(iter(fields))
        assert "clients senders add" in error["message"]


@pytest.mark.usefixtures("enforced")
def test_refusal_lists_only_the_senders_of_the_client(
    web: FlaskClient, others: FlaskClient
) -> None:
    [error] = post(web, **{"from": "ACME"}).json["errors"]
    assert OWN in error["message"]
    assert SERVICE in error["message"]
    assert OTHERS not in error["message"]


@pytest.mark.usefixtures("enforced", "others")
def test_number_beside_an_own_service_must_be_owned(web: FlaskClient) -> None:
    both = {"messaging_service_sid": SERVICE}
    assert post(web, **both, **{"from": OWN}).status_code == 202
    refused = post(web, **both, **{"from": OTHERS})
    assert [error["field"] for error in refused.json["errors"]] == ["from"]


@pytest.mark.usefixtures("enforced")
def test_default_sender_must_be_owned(app: Flask, web: FlaskClient) -> None:
    refused = post(web)
    assert refused.status_code == 422
    assert [error["field"] for error in refused.json["errors"]] == ["from"]
    give(app, "billing", DEFAULT)
    assert post(web).json["from"] == DEFAULT


@pytest.mark.usefixtures("enforced", "others")
def test_batch_refuses_only_messages_from_other_senders(web: FlaskClient) -> None:
    messages = [
        {"to": "+14155552671", "body": "Hello", "from": sender} for sender in (OWN, OTHERS, OWN)
    ]
    results = web.post("/v1/messages/batch", json={"messages": messages}).json["results"]
    assert [result["status"] for result in results] == [202, 422, 202]


def test_any_sender_may_be_used_by_default(web: FlaskClient, others: FlaskClient) -> None:
    for sender in (OWN, OTHERS, DEFAULT, "ACME"):
        assert post(web, **{"from": sender}).status_code == 202


def test_repeat_is_answered_after_the_sender_is_taken_back(
    app: Flask, web: FlaskClient, enforced: Callable[..., None]
) -> None:
    give(app, "billing", OWN)
    first = post(web, {"Idempotency-Key": "once"}, **{"from": OWN})
    app.test_cli_runner().invoke(args=["clients", "senders", "remove", "billing", OWN])
    again = post(web, {"Idempotency-Key": "once"}, **{"from": OWN})
    assert (again.status_code, again.json["id"]) == (202, first.json["id"])
    assert post(web, {"Idempotency-Key": "twice"}, **{"from": OWN}).status_code == 422


@pytest.fixture
def tests(app: Flask) -> FlaskClient:
    """The client with a test key of the same name."""
    made = app.test_cli_runner().invoke(args=["clients", "create", "billing", "--test"])
    return client_of(app, made.output.strip())


@pytest.mark.usefixtures("enforced", "others")
def test_test_key_may_use_the_senders_of_its_counterpart(
    app: Flask, web: FlaskClient, tests: FlaskClient
) -> None:
    accepted = post(tests, **{"from": OWN})
    assert (accepted.json["provider"], accepted.json["account"]) == (SANDBOX, DEFAULT_ACCOUNT)
    assert post(tests, **{"from": OTHERS}).status_code == 422
    give(app, "billing", "+15005550003", "--test")
    assert post(tests, **{"from": "+15005550003"}).status_code == 202
    assert post(web, **{"from": "+15005550003"}).status_code == 422
