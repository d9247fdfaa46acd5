"""Several accounts, API keys and the accounts file."""

import pytest
import requests
from twilio.base.exceptions import TwilioRestException
from twilio.request_validator import RequestValidator
from twilio.rest import Client

from simulator.accounts import Account, read_accounts
from tests.simulator.conftest import SimulatorHttpClient

FROM, TO = "+15005550006", "+15017122661"
SECOND = Account(
    "twilio",
    "AC00000000000000000000000000000002",
    token="second-token",
    keys={"SK00000000000000000000000000000002": "key-secret"},
)


@pytest.fixture
def simulator(start):
    return start(accounts=(SECOND,))


@pytest.fixture
def connect(simulator):
    """Connect the official client as a user, to an account."""

    def connect_as(user, password, account=None):
        http_client = SimulatorHttpClient(simulator.url, 10)
        return Client(user, password, account, http_client=http_client)

    return connect_as


def create(client, **more):
    return client.messages.create(to=TO, from_=FROM, body="Hello", **more)


def test_each_account_sends_with_its_own_token(simulator, connect, client):
    second = create(connect(SECOND.id, SECOND.token))
    first = create(client)
    assert second.account_sid == SECOND.id
    accounts = {entry["sid"]: entry["account"] for entry in simulator.records()["messages"]}
    assert accounts == {second.sid: SECOND.id, first.sid: simulator.config.account_sid}


def test_api_key_sends_for_its_account(simulator, connect):
    [(key, secret)] = SECOND.keys.items()
    message = create(connect(key, secret, SECOND.id))
    assert simulator.message(message.sid)["account"] == SECOND.id


@pytest.mark.parametrize(
    ("user", "password"),
    [
        (SECOND.id, "wrong"),
        (SECOND.id, ""),
        (SECOND.id, "simulator-auth-token"),
        ("SK00000000000000000000000000000002", "wrong"),
        ("SK00000000000000000000000000000003", ""),
        ("AC00000000000000000000000000000001", "simulator-auth-token"),
    ],
)
def test_wrong_credentials_answer_20003(simulator, user, password):
    url = f"{simulator.url}/2010-04-01/Accounts/{SECOND.id}/Messages.json"
    form = {"To": TO, "From": FROM, "Body": "Hello"}
    answer = requests.post(url, data=form, auth=(user, password), timeout=10)
    assert answer.status_code == 401
    assert answer.json() == {
        "code": 20003,
        "message": "Authenticate",
        "more_info": "https://www.twilio.com/docs/errors/20003",
        "status": 401,
    }
    assert simulator.records()["messages"] == []
    assert simulator.account(SECOND.id)["unauthorized"] == 1


def test_api_key_of_another_account_is_unauthorized(simulator, connect):
    [(key, secret)] = SECOND.keys.items()
    with pytest.raises(TwilioRestException) as caught:
        create(connect(key, secret, simulator.config.account_sid))
    assert (caught.value.status, caught.value.code) == (401, 20003)


def test_callbacks_are_signed_with_the_token_of_the_account(simulator, connect, webhook):
    [(key, secret)] = SECOND.keys.items()
    create(connect(key, secret, SECOND.id), status_callback=webhook.url)
    simulator.wait_until_idle()
    callback = webhook.received[0]
    signature = callback.headers["X-Twilio-Signature"]
    valid = {
        token: RequestValidator(token).validate(webhook.url, callback.form, signature)
        for token in (SECOND.token, simulator.config.auth_token, secret)
    }
    assert valid == {SECOND.token: True, simulator.config.auth_token: False, secret: False}
    assert callback.form["AccountSid"] == SECOND.id


def test_account_shows_only_its_messages(connect, client):
    second = connect(SECOND.id, SECOND.token)
    message = create(second)
    assert client.messages.list() == []
    assert [listed.sid for listed in second.messages.list()] == [message.sid]
    with pytest.raises(TwilioRestException) as caught:
        client.messages(message.sid).fetch()
    assert caught.value.code == 20404


def test_accounts_file_describes_every_kind_of_account(tmp_path):
    path = tmp_path / "accounts.toml"
    path.write_text(
        """
        [[twilio]]
        sid = "AC2"
        auth_token = "token"
        api_keys = { SK2 = "secret" }

        [[sinch]]
        service_plan = "plan"
        api_token = "token"
        callback_secret = "signs"

        [[sinch_project]]
        project = "project"
        access_keys = { key = "secret" }
        callback_secret = "signs"
        """
    )
    assert read_accounts(path) == (
        Account("twilio", "AC2", token="token", keys={"SK2": "secret"}),
        Account("sinch", "plan", token="token", secret="signs"),
        Account("sinch", "project", secret="signs", keys={"key": "secret"}),
    )


@pytest.mark.parametrize(
    "text",
    [
        "[[vonage]]\nid = 'x'",
        "[[twilio]]\nauth_token = 'x'",
        "[[twilio]]\nsid = 'AC2'",
        "[[twilio]]\nsid = 'AC2'\nauth_token = 'x'\ncolour = 'red'",
        "[[twilio]]\nsid = 2\nauth_token = 'x'",
        "[[twilio]]\nsid = 'AC2'\napi_keys = 'x'",
        "[[twilio]]\nsid = 'AC2'\napi_keys = { SK2 = 3 }",
        "[twilio]\nsid = 'AC2'",
        "twilio = 3",
        "[[twilio",
    ],
)
def test_invalid_accounts_file_is_rejected(tmp_path, text):
    path = tmp_path / "accounts.toml"
    path.write_text(text)
    with pytest.raises(ValueError, match=r"accounts\.toml"):
        read_accounts(path)


def test_missing_accounts_file_is_rejected(tmp_path):
    with pytest.raises(ValueError, match="cannot read"):
        read_accounts(tmp_path / "none.toml")


def test_secrets_of_an_account_are_not_shown():
    account = Account("sinch", "plan", token="aaa", secret="bbb", keys={"key": "ccc"})
    assert not any(secret in repr(account) for secret in ("aaa", "bbb", "ccc"))


def test_account_shows_only_messages_to_its_numbers(simulator, connect, client, webhook):
    simulator.set_inbound_urls(twilio=webhook.url)
    sid = simulator.write(TO, "Hello", account=SECOND.id, to=FROM)["sid"]
    second = connect(SECOND.id, SECOND.token)
    assert [message.sid for message in second.messages.list()] == [sid]
    assert client.messages.list() == []
    with pytest.raises(TwilioRestException):
        client.messages(sid).fetch()
    [request] = webhook.received
    validator, signature = RequestValidator(SECOND.token), request.headers["X-Twilio-Signature"]
    assert validator.validate(webhook.url, request.form, signature)


def test_stop_blocks_the_number_of_one_account(simulator, connect, client):
    simulator.write(TO, "STOP", account=SECOND.id, to=FROM)
    create(client)
    with pytest.raises(TwilioRestException, match="unsubscribed"):
        create(connect(SECOND.id, SECOND.token))
