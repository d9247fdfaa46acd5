"""Access keys of Sinch projects, and their access tokens."""

import pytest
import requests

from simulator.accounts import Account

PROJECT = Account("sinch", "project-1", secret="signs", keys={"key-1": "secret-1"})


@pytest.fixture
def simulator(start):
    return start(accounts=(PROJECT,))


def ask_for_token(simulator, key="key-1", secret="secret-1", grant="client_credentials"):
    url, form = f"{simulator.url}/oauth2/token", {"grant_type": grant}
    return requests.post(url, data=form, auth=(key, secret), timeout=10)


def send(simulator, token, project=PROJECT.id, **changes):
    url = f"{simulator.url}/xms/v1/{project}/batches"
    batch = {"to": ["+14155552671"], "from": "ACME", "body": "Hello"} | changes
    headers = {"Authorization": f"Bearer {token}"}
    return requests.post(url, json=batch, headers=headers, timeout=10)


def test_project_sends_with_an_access_token(simulator):
    answer = ask_for_token(simulator).json()
    assert (answer["expires_in"], answer["token_type"]) == (3600, "bearer")
    batch = send(simulator, answer["access_token"])
    assert batch.status_code == 201
    assert simulator.message(batch.json()["id"])["account"] == PROJECT.id
    assert simulator.account(PROJECT.id)["tokens"] == 1


def test_expired_access_token_is_unauthorized(start):
    simulator = start(accounts=(PROJECT,), sinch_token_lifetime=0)
    answer = send(simulator, ask_for_token(simulator).json()["access_token"])
    assert (answer.status_code, answer.content) == (401, b"")
    assert simulator.account(PROJECT.id)["unauthorized"] == 1


@pytest.mark.parametrize(
    ("key", "secret"), [("key-1", "wrong"), ("key-1", ""), ("key-2", "secret-1"), ("", "")]
)
def test_wrong_access_key_gets_no_token(simulator, key, secret):
    answer = ask_for_token(simulator, key, secret)
    assert (answer.status_code, answer.json()) == (401, {"error": "invalid_client"})


def test_other_grants_are_rejected(simulator):
    assert ask_for_token(simulator, grant="password").status_code == 400


@pytest.mark.parametrize("token", ["", "wrong"])
def test_unknown_token_is_unauthorized_without_body(simulator, token):
    answer = send(simulator, token)
    assert (answer.status_code, answer.content) == (401, b"")
    assert simulator.records()["messages"] == []


def test_access_token_is_not_valid_for_a_service_plan(simulator):
    token = ask_for_token(simulator).json()["access_token"]
    assert send(simulator, token, simulator.config.sinch_plan).status_code == 401
    assert send(simulator, simulator.config.sinch_token).status_code == 401
    assert send(simulator, simulator.config.sinch_token, "unknown").status_code == 401
