"""Commands that give senders to clients: one owner for each sender, in one spelling."""

import pytest
from click.testing import Result
from flask import Flask

from service.database import transaction
from service.queries import senders
from tests.conftest import make_key

NUMBER = "+15005550006"
SERVICE = "MG" + "a" * 32

pytestmark = pytest.mark.usefixtures("key")


def run(app: Flask, *args: str) -> Result:
    return app.test_cli_runner().invoke(args=["clients", "senders", *args])


def owned(app: Flask) -> list[tuple[str, str, str | None]]:
    with app.app_context(), transaction():
        return [(client.name, row.sender, row.pool) for row, client in senders.listed()]


@pytest.mark.parametrize(
    ("spelling", "stored"),
    [
        ("+1 (500) 555-0006", NUMBER),
        ("12345", "12345"),
        ("ACME Ltd", "ACME Ltd"),
        ("MGROUP", "MGROUP"),
        ("MG" + "A" * 32, SERVICE),
        ("WhatsApp:+1 500 555 0006", f"whatsapp:{NUMBER}"),
        ("rcs:acme_agent", "rcs:acme_agent"),
    ],
)
def test_sender_is_stored_as_messages_spell_it(app: Flask, spelling: str, stored: str) -> None:
    made = run(app, "add", "billing", spelling)
    assert made.exit_code == 0, made.output
    assert owned(app) == [("billing", stored, None)]


def test_added_again_changes_the_pool(app: Flask) -> None:
    run(app, "add", "billing", NUMBER, "--pool", "Campaigns")
    assert owned(app) == [("billing", NUMBER, "campaigns")]
    run(app, "add", "billing", NUMBER)
    assert owned(app) == [("billing", NUMBER, None)]


def test_sender_has_one_owner(app: Flask) -> None:
    make_key(app, "alerts")
    run(app, "add", "billing", NUMBER, "--pool", "campaigns")
    refused = run(app, "add", "alerts", "+1 500 555 0006")
    assert refused.exit_code == 1
    assert "billing" in refused.output
    assert "remove" in refused.output
    assert owned(app) == [("billing", NUMBER, "campaigns")]


def test_removed_sender_is_free(app: Flask) -> None:
    make_key(app, "alerts")
    run(app, "add", "billing", NUMBER)
    assert run(app, "remove", "alerts", NUMBER).exit_code == 1
    assert owned(app) == [("billing", NUMBER, None)]
    assert run(app, "remove", "billing", "+1 500 555 0006").exit_code == 0
    assert owned(app) == []
    assert run(app, "remove", "billing", NUMBER).exit_code == 1
    assert run(app, "add", "alerts", NUMBER).exit_code == 0


def test_client_of_test_keys_has_its_own_senders(app: Flask) -> None:
    assert run(app, "add", "billing", NUMBER, "--test").exit_code == 1
    app.test_cli_runner().invoke(args=["clients", "create", "billing", "--test"])
    assert run(app, "add", "billing", NUMBER, "--test").exit_code == 0
    assert "(test)" in run(app, "list").output
    assert run(app, "remove", "billing", NUMBER).exit_code == 1
    assert run(app, "remove", "billing", NUMBER, "--test").exit_code == 0


def test_list_shows_one_client_or_all(app: Flask) -> None:
    make_key(app, "alerts")
    run(app, "add", "billing", NUMBER, "--pool", "campaigns")
    run(app, "add", "alerts", "ACME")
    assert run(app, "list").output.splitlines() == [
        "alerts  ACME",
        f"billing  {NUMBER}, pool campaigns",
    ]
    assert run(app, "list", "alerts").output.splitlines() == ["alerts  ACME"]


@pytest.mark.parametrize(
    ("args", "word"),
    [
        (["billing", "AC" + "0" * 32], "SENDER"),
        (["billing", "name that is too long"], "SENDER"),
        (["billing", "pool:campaigns"], "SENDER"),
        (["billing", NUMBER, "--pool", "two words"], "--pool"),
        (["nobody", NUMBER], "nobody"),
    ],
)
def test_unusable_argument_is_refused(app: Flask, args: list[str], word: str) -> None:
    refused = run(app, "add", *args)
    assert refused.exit_code != 0
    assert word in refused.output
    assert owned(app) == []
