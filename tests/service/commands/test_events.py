"""`flask events tail` shows what the feeds of clients show; `restart` ends every cursor."""

import json
from collections.abc import Callable
from typing import Any
from uuid import UUID

import pytest
from click.testing import Result
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select, update

from service.commands import events as command
from service.database import db, transaction
from service.event_feed import operate
from service.models import Event
from service.operations import audit
from service.queries import events
from service.queries.dialect import is_postgresql
from service.sending import deliver
from tests.conftest import make_key
from tests.fakes import FakeProvider

pytestmark = pytest.mark.usefixtures("events_told")

Run = Callable[..., Result]
HELLO = {"to": "+14155552671", "body": "Your code is 123456"}


@pytest.fixture
def run(context: Flask) -> Run:
    def invoke(*arguments: str) -> Result:
        db.session.rollback()
        return context.test_cli_runner().invoke(args=["events", *arguments])

    return invoke


def send(client: FlaskClient) -> str:
    message_id = client.post("/v1/messages", json=HELLO).json["id"]
    deliver.deliver()
    return str(message_id)


def lines(result: Result) -> list[dict[str, Any]]:
    assert result.exit_code == 0, result.output
    return [json.loads(line) for line in result.stdout.splitlines()]


@pytest.fixture
def other(app: Flask, web: FlaskClient) -> FlaskClient:
    """The API with the key of another client."""
    client = app.test_client()
    client.environ_base["HTTP_AUTHORIZATION"] = f"Bearer {make_key(app, 'shop')}"
    return client


def test_tail_shows_the_last_events_of_all_clients(
    run: Run, web: FlaskClient, other: FlaskClient, provider: FakeProvider
) -> None:
    ids = [send(web), send(other), send(web)]
    shown = lines(run("tail", "--json", "--lines", "2"))
    assert [(each["message_id"], each["client"]) for each in shown] == [
        (ids[1], "shop"),
        (ids[2], "billing"),
    ]
    assert shown[0]["id"] == web_ids(other)[0]
    assert {each["status"] for each in shown} == {"queued"}


def web_ids(client: FlaskClient) -> list[str]:
    return [event["id"] for event in client.get("/v1/events").json["events"]]


def test_tail_of_one_client(
    run: Run, web: FlaskClient, other: FlaskClient, provider: FakeProvider
) -> None:
    send(web)
    of_other = send(other)
    assert [each["message_id"] for each in lines(run("tail", "--json", "--client", "shop"))] == [
        of_other
    ]
    plain = run("tail", "--client", "shop").stdout
    assert of_other in plain
    assert "+1415" not in plain
    assert run("tail", "--client", "none").exit_code == 2


def test_tail_goes_on_behind_a_cursor(
    run: Run, web: FlaskClient, provider: FakeProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(command, "_PAGE", 2)
    cursor = web.get("/v1/events").json["next_cursor"]
    ids = [send(web) for _ in range(5)]
    result = run("tail", "--json", "--after", cursor)
    assert [each["message_id"] for each in lines(result)] == ids
    last = result.stderr.split()[-1]
    assert lines(run("tail", "--json", "--after", last)) == []
    assert run("tail", "--after", "x").exit_code == 2


def test_tail_follows(
    run: Run, web: FlaskClient, provider: FakeProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = [send(web)]

    def pause(_seconds: float) -> None:
        if len(ids) == 3:
            raise KeyboardInterrupt
        ids.append(send(web))

    monkeypatch.setattr(command, "sleep", pause)
    assert [each["message_id"] for each in lines(run("tail", "--json", "--follow"))] == ids


def restored() -> None:
    """The numbers of the transactions of a restored database may lie in the future."""
    with transaction():
        db.session.execute(update(Event).values(transaction_id=Event.transaction_id + 2**40))


def test_restart_shows_restored_events_before_later_ones(
    run: Run, web: FlaskClient, provider: FakeProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In one order, which is not that of the cursors given before: they are gone."""
    monkeypatch.setattr(operate, "BATCH", 2)
    before = [send(web) for _ in range(3)]
    cursor = web.get("/v1/events").json["next_cursor"]
    if is_postgresql():
        restored()
        assert web_ids(web) == []
        assert [finding.text for finding in audit.audit() if not finding.holds] == [
            "events that the feed does not show: 3"
        ]
    result = run("restart", "--yes")
    assert (result.exit_code, "3 kept events" in result.output) == (0, True)
    later = send(web)

    page = web.get("/v1/events").json
    assert [event["data"]["id"] for event in page["events"]] == [*before, later]
    assert web.get(f"/v1/events?after={cursor}").status_code == 410
    assert web.get(f"/v1/events?after={page['next_cursor']}").status_code == 200
    assert run("tail", "--after", cursor).exit_code == 1
    assert all(finding.holds for finding in audit.audit())


def test_restart_moves_no_later_event(
    context: Flask, web: FlaskClient, provider: FakeProvider
) -> None:
    """Workers may write while it runs."""
    first = send(web)
    with transaction():
        until = events.last_id()
    later = send(web)
    with transaction():
        assert events.renumber(0, until, 500) == (until, 1)
    numbers = dict(db.session.execute(select(Event.message_id, Event.transaction_id)).all())
    db.session.rollback()
    assert numbers[UUID(first)] == 0
    assert bool(numbers[UUID(later)]) == is_postgresql()
