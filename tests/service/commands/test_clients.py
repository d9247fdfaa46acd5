"""Commands for a terminal: a key is seen once, and only its hash is kept."""

import pytest
from click.testing import Result
from flask import Flask
from sqlalchemy import select

from service.database import db
from service.models import ApiKey, Client
from service.queries.keys import digest_of
from tests.conftest import make_key


def run(app: Flask, *args: str) -> Result:
    return app.test_cli_runner().invoke(args=["clients", *args])


def number_of(app: Flask, key: str) -> str:
    with app.app_context():
        query = select(ApiKey.id).where(ApiKey.digest == digest_of(key))
        return str(db.session.scalars(query).one())


def test_create_prints_only_the_key(app: Flask) -> None:
    made = run(app, "create", "billing")
    assert made.exit_code == 0
    assert made.output.startswith("wb_")
    assert made.output.split() == [made.output.strip()]


def test_only_digest_and_hint_of_a_key_are_stored(context: Flask) -> None:
    key = make_key(context, "billing")
    [stored] = db.session.execute(select(ApiKey.__table__)).mappings()
    assert stored["digest"] == digest_of(key)
    assert stored["hint"] == key[:8]
    assert key not in str(dict(stored))


def test_second_key_belongs_to_the_same_client(context: Flask) -> None:
    make_key(context, "billing"), make_key(context, "billing"), make_key(context, "alerts")
    names = list(db.session.scalars(select(Client.name).order_by(Client.name)))
    assert names == ["alerts", "billing"]
    assert len(list(db.session.scalars(select(ApiKey)))) == 3


@pytest.mark.parametrize("name", ["", "x" * 101])
def test_name_has_1_to_100_characters(context: Flask, name: str) -> None:
    refused = run(context, "create", name)
    assert refused.exit_code == 2
    assert "1 to 100 characters" in refused.output
    assert list(db.session.scalars(select(Client))) == []


def test_list_shows_hints_and_no_keys(app: Flask) -> None:
    keys = [make_key(app, name) for name in ("billing", "billing", "alerts")]
    listed = run(app, "list").output
    assert len(listed.splitlines()) == 3
    for key in keys:
        assert key[:8] in listed
        assert key[:12] not in listed


def test_list_without_keys_is_empty(app: Flask) -> None:
    listed = run(app, "list")
    assert (listed.exit_code, listed.output) == (0, "")


def test_list_shows_whether_a_key_is_revoked(app: Flask) -> None:
    first, second = make_key(app, "billing"), make_key(app, "billing")
    assert run(app, "revoke", number_of(app, first)).exit_code == 0
    by_hint = {
        hint: line
        for line in run(app, "list").output.splitlines()
        for hint in (first[:8], second[:8])
        if hint in line
    }
    assert "revoked" in by_hint[first[:8]]
    assert by_hint[second[:8]].endswith("live")


@pytest.mark.parametrize("number", ["999", "0"])
def test_unknown_key_cannot_be_revoked(app: Flask, number: str) -> None:
    refused = run(app, "revoke", number)
    assert refused.exit_code == 1
    assert "no live key" in refused.output


def test_revoked_key_cannot_be_revoked_again(app: Flask) -> None:
    number = number_of(app, make_key(app, "billing"))
    assert run(app, "revoke", number).exit_code == 0
    assert run(app, "revoke", number).exit_code == 1


def test_revoke_takes_a_number_and_no_key(app: Flask) -> None:
    """A key typed on a command line stays in the shell's history."""
    assert run(app, "revoke", make_key(app, "billing")).exit_code == 2


def test_client_has_a_default_account(app: Flask) -> None:
    assert run(app, "create", "billing", "--account", "default").exit_code == 0
    assert "billing, account default" in run(app, "list").output
    assert run(app, "set", "billing", "--no-account").exit_code == 0
    assert "account" not in run(app, "list").output
    assert run(app, "set", "billing", "--account", "default").exit_code == 0
    assert run(app, "create", "billing").exit_code == 0  # a second key keeps the account
    assert run(app, "list").output.count("account default") == 2


@pytest.mark.parametrize(
    ("args", "reason"),
    [
        (("create", "alerts", "--account", "nobody"), "must be an account of a provider: default"),
        (("set", "billing", "--account", "nobody"), "must be an account of a provider: default"),
        (("set", "alerts", "--no-account"), "no client is called alerts"),
        (("set", "billing"), "either --account or --no-account"),
        (("set", "billing", "--account", "default", "--no-account"), "either"),
        (("set", "billing", "--test", "--no-account"), "no client is called billing"),
    ],
)
def test_unusable_account_of_a_client_is_refused(
    context: Flask, args: tuple[str, ...], reason: str
) -> None:
    make_key(context, "billing")
    refused = run(context, *args)
    assert refused.exit_code != 0
    assert reason in refused.output
    assert [client.name for client in db.session.scalars(select(Client))] == ["billing"]
