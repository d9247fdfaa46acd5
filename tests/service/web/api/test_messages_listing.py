"""Lists: newest first, page by page, and only what the client may see."""

import time
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any
from urllib.parse import urlencode
from uuid import UUID, uuid4

import pytest
from flask import Flask
from flask.testing import FlaskClient
from uuid_utils.compat import uuid7
from werkzeug.test import TestResponse

from service.database import db, transaction
from service.domain.message_ids import creation_time
from service.domain.status import FINAL, Status
from service.models import Message
from service.sending import accept, deliver
from tests.conftest import make_key
from tests.fakes import FakeProvider

TO, OTHER = "+14155552671", "+14155552672"


def post(web: FlaskClient, **fields: Any) -> dict[str, Any]:
    posted = web.post("/v1/messages", json={"to": TO, "body": "Hello", **fields})
    assert posted.status_code == 202, posted.json
    answer: dict[str, Any] = posted.json
    return answer


def post_many(web: FlaskClient, count: int) -> list[str]:
    items = [{"to": TO, "body": f"Hello {number}"} for number in range(count)]
    results = web.post("/v1/messages/batch", json={"messages": items}).json["results"]
    return [result["message"]["id"] for result in results]


def ask(web: FlaskClient, **query: Any) -> TestResponse:
    return web.get(f"/v1/messages?{urlencode(query)}")


def ids(listed: TestResponse) -> list[str]:
    assert listed.status_code == 200, listed.json
    return [message["id"] for message in listed.json["messages"]]


def test_list_without_messages_is_empty(web: FlaskClient) -> None:
    assert ask(web).json == {"messages": [], "next_cursor": None}


def test_list_shows_messages_newest_first(web: FlaskClient) -> None:
    posted = [post(web) for _ in range(3)]
    assert ask(web).json == {"messages": posted[::-1], "next_cursor": None}


def test_pages_together_have_every_message(web: FlaskClient) -> None:
    made = post_many(web, 25)
    seen: list[str] = []
    cursor: dict[str, str] = {}
    for length in (10, 10, 5):
        page = ask(web, limit=10, **cursor)
        assert len(ids(page)) == length
        seen += ids(page)
        cursor = {"cursor": page.json["next_cursor"]}
    assert seen == made[::-1]
    assert page.json["next_cursor"] is None


def test_new_messages_do_not_move_pages(web: FlaskClient) -> None:
    made = post_many(web, 6)
    first = ask(web, limit=3)
    post_many(web, 5)
    second = ask(web, limit=3, cursor=first.json["next_cursor"])
    assert ids(first) + ids(second) == made[::-1]


def test_full_last_page_has_no_next_cursor(web: FlaskClient) -> None:
    post_many(web, 3)
    assert ask(web, limit=3).json["next_cursor"] is None


def test_default_limit_is_50(web: FlaskClient) -> None:
    post_many(web, 201)
    assert len(ids(ask(web))) == 50
    assert len(ids(ask(web, limit=200))) == 200


def test_cursor_works_with_a_filter(web: FlaskClient) -> None:
    expected = [post(web, reference="r")["id"] for _ in range(3)]
    post(web)
    first = ask(web, reference="r", limit=2)
    second = ask(web, reference="r", limit=2, cursor=first.json["next_cursor"])
    assert ids(first) + ids(second) == expected[::-1]


@pytest.mark.parametrize(
    "query",
    [
        {"to": OTHER},
        {"to": "+1 (415) 555-2672"},
        {"reference": "r-2"},
        {"to": OTHER, "reference": "r-2", "status": "pending"},
    ],
)
def test_filter_returns_matching_messages(web: FlaskClient, query: dict[str, str]) -> None:
    post(web, reference="r-1")
    expected = post(web, to=OTHER, reference="r-2")
    post(web)
    assert ids(ask(web, **query)) == [expected["id"]]


@pytest.mark.parametrize(
    "query",
    [
        {"to": OTHER},
        {"to": "whatsapp:+14155552671"},
        {"reference": "r"},
        {"reference": "%"},
        {"status": "delivered"},
        {"provider_sid": "SM1"},
        {"cursor": UUID(int=0)},
        {"created_after": "2999-01-01T00:00:00Z"},
        {"created_before": "2001-01-01T00:00:00Z"},
    ],
)
def test_filter_without_match_returns_nothing(web: FlaskClient, query: dict[str, Any]) -> None:
    post(web)
    assert ids(ask(web, **query)) == []


def test_filter_by_status_and_sid(web: FlaskClient, app: Flask, provider: FakeProvider) -> None:
    sent = post(web)
    with app.app_context():
        deliver.deliver()
    waiting = post(web)
    sid = provider.sid(provider.on_air[0].attempt_id)
    assert ids(ask(web, provider_sid=sid)) == [sent["id"]]
    assert ids(ask(web, status="queued")) == [sent["id"]]
    assert ids(ask(web, status="pending")) == [waiting["id"]]


def test_filter_by_time_of_acceptance(web: FlaskClient) -> None:
    made = post(web)["created_at"]
    minute = made[:16]
    assert len(ids(ask(web, created_after=f"{minute}:00-00:01", created_before=made))) == 0
    assert len(ids(ask(web, created_after=made, created_before="2999-01-01T00:00:00Z"))) == 1


def shifted(moment: str, **by: int) -> str:
    return (datetime.fromisoformat(moment) + timedelta(**by)).isoformat()


def test_adjacent_time_windows_do_not_overlap(web: FlaskClient) -> None:
    """A batch has one time in, and ids a moment later: what is shown is what is compared."""
    made = [*post_many(web, 300), post(web)["id"]]
    shown = {message["id"]: message["created_at"] for message in listed(web)}
    times = sorted(set(shown.values()))
    bounds = [*times, shifted(times[-1], milliseconds=1)]
    windows = [
        listed(web, created_after=start, created_before=end) for start, end in pairwise(bounds)
    ]
    assert sorted(message["id"] for window in windows for message in window) == sorted(made)
    for start, window in zip(times, windows, strict=True):
        assert {message["created_at"] for message in window} == {start}


def listed(web: FlaskClient, **query: Any) -> list[dict[str, Any]]:
    """Every message of a list, page by page."""
    messages, cursor = list[dict[str, Any]](), str(UUID(int=2**128 - 1))
    while cursor:
        page = ask(web, limit=200, cursor=cursor, **query)
        messages += page.json["messages"]
        cursor = page.json["next_cursor"]
    return messages


@pytest.mark.parametrize(
    ("name", "microseconds", "count"),
    [
        ("created_after", 0, 1),
        ("created_after", 1, 0),
        ("created_after", -1, 1),
        ("created_before", 0, 0),
        ("created_before", 1, 1),
        ("created_before", -1, 0),
    ],
)
def test_time_filters_are_exact_to_the_millisecond(
    web: FlaskClient, name: str, microseconds: int, count: int
) -> None:
    made = post(web)["created_at"]
    bound = shifted(made, microseconds=microseconds)
    assert len(ids(ask(web, **{name: bound}))) == count


def test_time_in_the_id_is_never_after_created_at(
    web: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A process that rests between reading its clock and making the id."""

    def late() -> UUID:
        time.sleep(0.05)
        return uuid7()

    monkeypatch.setattr(accept, "uuid7", late)
    made = post(web)
    assert creation_time(UUID(made["id"])) == datetime.fromisoformat(made["created_at"])
    assert ids(ask(web, created_after=made["created_at"])) == [made["id"]]
    assert ids(ask(web, created_before=shifted(made["created_at"], milliseconds=1))) == [made["id"]]


def test_filter_finds_every_status(web: FlaskClient, app: Flask) -> None:
    """Each goes another way: own statuses, final ones, and those that the provider may change."""
    made = dict(zip(Status, post_many(web, len(Status)), strict=True))
    now = datetime.now(UTC)
    with app.app_context(), transaction():
        for status, message_id in made.items():
            columns = {
                "status": status,
                "due_at": now if status is Status.PENDING else None,
                "claimed_until": now if status is Status.SUBMITTING else None,
                "final_at": now if status in FINAL else None,
            }
            condition = Message.id == UUID(message_id)
            db.session.execute(db.update(Message).where(condition).values(columns))

    assert {status: ids(ask(web, status=status)) for status in Status} == {
        status: [message_id] for status, message_id in made.items()
    }


def test_rare_match_is_found_after_several_pages(web: FlaskClient) -> None:
    """A page is searched in 20 rows for each message it may hold, then says where to go on."""
    rare = [post(web, reference="rare")["id"] for _ in range(2)]
    for _ in range(2):
        post_many(web, 25)
    rare.append(post(web, reference="rare")["id"])
    query = {"to": TO, "reference": "rare", "limit": 1}
    matches, cursor, empty = list[str](), str(UUID(int=2**128 - 1)), 0
    while cursor:
        page = ask(web, **query, cursor=cursor)
        matches += ids(page)
        empty += not ids(page)
        cursor = page.json["next_cursor"]
    assert matches == rare[::-1]
    assert 1 <= empty <= 3


@pytest.mark.parametrize("moment", ["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00"])
@pytest.mark.parametrize("name", ["created_after", "created_before"])
def test_extreme_times_are_not_a_server_error(web: FlaskClient, name: str, moment: str) -> None:
    assert ask(web, **{name: moment}).status_code in (200, 422)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("status", "flying"),
        ("to", "nobody"),
        ("to", "+1\x00"),
        ("to", "whatsapp:\x00"),
        ("reference", "a\x00b"),
        ("provider_sid", "\x00"),
        ("created_after", "yesterday"),
        ("created_before", "2026-01-01"),
        ("cursor", "next"),
        ("cursor", "0" * 31),
        ("limit", "0"),
        ("limit", "-1"),
        ("limit", "201"),
        ("limit", "9" * 5000),
        ("limit", "1e400"),
        ("colour", "red"),
    ],
)
def test_invalid_filter_is_named_in_the_error(web: FlaskClient, name: str, value: str) -> None:
    refused = ask(web, **{name: value})
    assert refused.status_code == 422
    assert refused.content_type == "application/problem+json"
    assert {error["field"] for error in refused.json["errors"]} == {name}


@pytest.mark.parametrize("query", ["reference=%FF", "reference=%ED%A0%80", "%FF=1", "cursor=%00"])
def test_query_without_utf8_is_not_a_server_error(web: FlaskClient, query: str) -> None:
    assert web.get(f"/v1/messages?{query}").status_code in (200, 422)


def test_messages_of_other_clients_are_not_listed(web: FlaskClient, app: Flask) -> None:
    own = post(web, reference="r")
    stranger = app.test_client()
    stranger.environ_base["HTTP_AUTHORIZATION"] = f"Bearer {make_key(app, 'stranger')}"
    other = post(stranger, reference="r")
    assert ids(ask(web, reference="r")) == [own["id"]]
    assert ids(ask(stranger, reference="r")) == [other["id"]]
    assert ids(ask(stranger, cursor=own["id"])) == []


def test_unknown_cursor_is_a_position_in_the_list(web: FlaskClient) -> None:
    posted = post(web)
    assert ids(ask(web, cursor=UUID(int=2**128 - 1))) == [posted["id"]]
    assert ask(web, cursor=uuid4()).status_code == 200
