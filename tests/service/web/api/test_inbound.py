"""`GET /v1/inbound`: filters, pages, and whose messages a client sees."""

from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlencode
from uuid import UUID, uuid4

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select, update

from service.database import db, transaction
from service.inbound.record import record
from service.models import Client, ClientSender, InboundMessage
from service.queries import bounded_pages
from tests.conftest import make_key
from tests.service.inbound.conversation import PERSON, SENDER, heard
from tests.strategies import EPOCH

OTHER, SECOND = "+14155552672", "+15005550007"
NOW = datetime(2026, 11, 26, 12, tzinfo=UTC)


@pytest.fixture(autouse=True)
def senders(context: Flask, web: FlaskClient) -> None:
    """Give two senders to the client."""
    own("billing", SENDER, SECOND)


def own(client: str, *senders: str) -> None:
    with transaction():
        client_id = db.session.scalars(select(Client.id).filter_by(name=client)).one()
        for sender in senders:
            db.session.add(ClientSender(sender=sender, client_id=client_id, created_at=EPOCH))


def ask(web: FlaskClient, **query: Any) -> dict[str, Any]:
    answer = web.get(f"/v1/inbound?{urlencode(query)}")
    assert answer.status_code == 200, answer.json
    page: dict[str, Any] = answer.json
    return page


def bodies(web: FlaskClient, **query: Any) -> list[str]:
    return [message["body"] for message in ask(web, **query)["messages"]]


def test_message_is_shown_as_received(web: FlaskClient) -> None:
    received = heard(
        "stop ",
        NOW,
        NumMedia="1",
        MediaUrl0="https://api.twilio.com/m",
        MediaContentType0="image/png",
        ProfileName="Ada",
    )
    record([received])
    [shown] = ask(web)["messages"]
    assert web.get(f"/v1/inbound/{shown['id']}").json == shown
    assert shown.pop("raw")["ProfileName"] == "Ada"
    assert shown == {
        "id": shown["id"],
        "test": False,
        "redacted": False,
        "provider": "twilio",
        "account": "default",
        "provider_sid": received.provider_sid,
        "from": PERSON,
        "to": SENDER,
        "messaging_service_sid": None,
        "body": "stop ",
        "media": [{"url": "https://api.twilio.com/m", "content_type": "image/png"}],
        "keyword": "stop",
        "in_reply_to": None,
        "received_at": "2026-11-26T12:00:00.000Z",
        "provider_time": None,
    }


def test_list_without_messages_is_empty(web: FlaskClient) -> None:
    assert ask(web) == {"messages": [], "next_cursor": None}


def test_list_is_in_the_order_of_arrival_not_of_recording(web: FlaskClient) -> None:
    """A message that waited in the overflow table is recorded late."""
    record([heard("second", NOW + timedelta(minutes=1))])
    record([heard("first", NOW)])
    assert bodies(web) == ["second", "first"]


@pytest.mark.parametrize(
    "query",
    [
        {"from": PERSON},
        {"from": "+1 (415) 555-2671"},
        {"to": SENDER},
        {"keyword": "help"},
        {"received_after": NOW.isoformat()},
        {"received_after": NOW.isoformat(), "received_before": "2026-11-26T12:00:00.001Z"},
        {"from": PERSON, "to": SENDER, "keyword": "help", "received_after": NOW.isoformat()},
    ],
    ids=str,
)
def test_filter_returns_matching_messages(web: FlaskClient, query: dict[str, str]) -> None:
    record([heard("other", NOW - timedelta(seconds=1), From=OTHER, To=SECOND)])
    record([heard("Help", NOW)])
    assert bodies(web, **query) == ["Help"]


@pytest.mark.parametrize(
    "query",
    [
        {"from": OTHER},
        {"from": f"whatsapp:{PERSON}"},
        {"to": SECOND},
        {"keyword": "stop"},
        {"in_reply_to": str(UUID(int=1))},
        {"received_before": NOW.isoformat()},
        {"from": PERSON, "to": SECOND},
        {"to": SENDER, "keyword": "start"},
    ],
    ids=str,
)
def test_filter_hides_other_messages(web: FlaskClient, query: dict[str, str]) -> None:
    record([heard("Help", NOW)])
    assert bodies(web, **query) == []


@pytest.mark.parametrize("sender", ["32665", "ACME", "rcs:acme_agent"])
def test_filter_finds_senders_that_are_no_number(web: FlaskClient, sender: str) -> None:
    record([heard("Hello", From=sender)])
    assert bodies(web, **{"from": sender}) == ["Hello"]


def test_number_matches_every_channel(web: FlaskClient) -> None:
    for channel in ("", "whatsapp:", "rcs:"):
        record([heard(channel, From=f"{channel}{PERSON}")])
    assert len(bodies(web, **{"from": PERSON})) == 3


def test_replies_to_a_message_are_found(web: FlaskClient) -> None:
    record([heard("Fine")])
    [shown] = ask(web)["messages"]
    answered = uuid4()
    with transaction():
        db.session.execute(update(InboundMessage).values(in_reply_to=answered))
    assert ask(web, in_reply_to=answered)["messages"] == [{**shown, "in_reply_to": str(answered)}]


@pytest.mark.parametrize("query", [{}, {"from": PERSON}, {"keyword": "stop"}, {"to": SENDER}])
def test_pages_together_have_every_message(web: FlaskClient, query: dict[str, str]) -> None:
    for second in range(5):
        record([heard("STOP", NOW + timedelta(seconds=second), ButtonText=str(second))])
    seen, cursor = list[str](), dict[str, str]()
    for length in (2, 2, 1):
        page = ask(web, limit=2, **query, **cursor)
        assert len(page["messages"]) == length
        seen += [message["raw"]["ButtonText"] for message in page["messages"]]
        cursor = {"cursor": page["next_cursor"]}
    assert seen == list("43210")
    assert page["next_cursor"] is None


def test_search_is_bounded_and_goes_on(web: FlaskClient, monkeypatch: pytest.MonkeyPatch) -> None:
    """The sender has many messages that are no STOP: a page may end before one is found."""
    monkeypatch.setattr(bounded_pages, "SEARCH_FACTOR", 2)
    record([heard("wanted", NOW, To=SECOND)])
    for second in range(1, 6):
        record([heard("other", NOW + timedelta(seconds=second))])
    query = {"from": PERSON, "to": SECOND, "limit": 1}
    pages, cursor = 0, None
    found = list[str]()
    while cursor is not None or not pages:
        page = ask(web, **query, **({"cursor": cursor} if cursor else {}))
        found += [message["body"] for message in page["messages"]]
        pages, cursor = pages + 1, page["next_cursor"]
    assert (found, pages > 1) == (["wanted"], True)


def test_client_sees_only_its_own_messages(app: Flask, web: FlaskClient) -> None:
    key = make_key(app, "logins")
    own("logins", "+15005550008")
    record([heard("theirs", To="+15005550008"), heard("unowned", To="+15005550009")])
    [theirs] = db.session.scalars(select(InboundMessage.id).filter_by(body="theirs"))
    assert bodies(web) == []
    assert web.get(f"/v1/inbound/{theirs}").status_code == 404
    web.environ_base["HTTP_AUTHORIZATION"] = f"Bearer {key}"
    assert bodies(web) == ["theirs"]


def test_unknown_message_is_not_found(web: FlaskClient) -> None:
    assert web.get(f"/v1/inbound/{uuid4()}").status_code == 404


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("from", "not a number?"),
        ("to", "MG" + "1" * 32),
        ("keyword", "hello"),
        ("in_reply_to", "7"),
        ("received_after", "yesterday"),
        ("cursor", "7"),
        ("limit", "201"),
        ("form", PERSON),
    ],
)
def test_wrong_parameter_is_named(web: FlaskClient, field: str, value: str) -> None:
    answer = web.get(f"/v1/inbound?{urlencode({field: value})}")
    assert answer.status_code == 422
    assert [error["field"] for error in answer.json["errors"]] == [field]


def test_redacted_message_is_shown_without_content(web: FlaskClient) -> None:
    record([heard("secret", NOW)])
    cleared = {"body": None, "media": [], "raw": {"NumMedia": "0"}, "redacted_at": NOW}
    with transaction():
        db.session.execute(update(InboundMessage).values(**cleared))
    [shown] = ask(web)["messages"]
    assert (shown["redacted"], shown["body"], shown["media"]) == (True, None, [])
    assert "secret" not in web.get(f"/v1/inbound/{shown['id']}").text


def test_request_without_a_key_is_refused(app: Flask) -> None:
    assert app.test_client().get("/v1/inbound").status_code == 401
