"""A batch: one result for each item, in order, and a bad item fails alone."""

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from redis import Redis
from sqlalchemy import func, select
from sqlalchemy.exc import OperationalError
from werkzeug.test import TestResponse

from service.database import db
from service.models import Message
from service.queries import messages
from service.task_queue.queue import SEND
from tests.messages import assert_soon

TO = "+14155552671"
HELLO = {"to": TO, "body": "Hello"}
CROWD = 8


def post(web: FlaskClient, items: Any, key: str | None = None) -> TestResponse:
    headers = {"Idempotency-Key": key} if key else {}
    return web.post("/v1/messages/batch", json={"messages": items}, headers=headers)


def numbered(count: int) -> list[dict[str, str]]:
    return [{"to": TO, "body": f"Hello {number}"} for number in range(count)]


def stored(app: Flask) -> int:
    with app.app_context():
        return db.session.scalars(select(func.count()).select_from(Message)).one()


def test_batch_of_1000_is_accepted_in_order(web: FlaskClient, app: Flask, redis_url: str) -> None:
    posted = post(web, numbered(1000))
    assert posted.status_code == 202
    assert {result["status"] for result in posted.json["results"]} == {202}
    bodies = [result["message"]["body"] for result in posted.json["results"]]
    assert bodies == [item["body"] for item in numbered(1000)]
    assert stored(app) == 1000
    with Redis.from_url(redis_url) as redis:
        assert_soon(lambda: redis.llen(SEND) == 1)


# Escaped, an emoji takes the most bytes.
@pytest.mark.parametrize(
    "letter",
    [*(pytest.param(letter, marks=pytest.mark.slow) for letter in ("x", "ж")), "🎈"],
)
def test_batch_of_1000_longest_texts_fits_the_body_limit(web: FlaskClient, letter: str) -> None:
    """Most JSON libraries escape what is not ASCII: six bytes for a letter, twelve for an emoji."""
    posted = post(web, [{"to": TO, "body": letter * 1600}] * 1000)
    assert posted.status_code == 202


def test_batch_result_equals_answer_to_single_post(web: FlaskClient) -> None:
    [result] = post(web, [HELLO]).json["results"]
    assert web.get(f"/v1/messages/{result['message']['id']}").json == result["message"]


@pytest.mark.parametrize("items", [[], numbered(1001)], ids=["none", "1001"])
def test_batch_of_0_or_1001_is_refused(web: FlaskClient, app: Flask, items: list[Any]) -> None:
    refused = post(web, items)
    assert refused.status_code == 422
    assert [error["field"] for error in refused.json["errors"]] == ["messages"]
    assert stored(app) == 0


def test_invalid_item_does_not_affect_others(web: FlaskClient, app: Flask) -> None:
    posted = post(web, [HELLO, {"to": TO}, 7, {**HELLO, "to": "nobody"}, HELLO])
    results = posted.json["results"]
    assert posted.status_code == 202
    assert [result["status"] for result in results] == [202, 422, 422, 422, 202]
    assert results[1]["problem"]["status"] == 422
    assert results[3]["problem"]["errors"][0]["field"] == "to"
    assert stored(app) == 2


def test_batch_of_invalid_items_gets_202(web: FlaskClient, app: Flask) -> None:
    posted = post(web, [{"to": TO}, None], key="k")
    assert [result["status"] for result in posted.json["results"]] == [422, 422]
    assert "Idempotent-Replayed" not in posted.headers
    assert stored(app) == 0


@pytest.mark.parametrize("items", [numbered(3), [HELLO, {"to": TO}, HELLO]])
def test_repeated_batch_creates_nothing(web: FlaskClient, app: Flask, items: list[Any]) -> None:
    first = post(web, items, key="k")
    before = stored(app)
    second = post(web, items, key="k")
    assert second.data == first.data
    assert "Idempotent-Replayed" not in first.headers
    assert second.headers["Idempotent-Replayed"] == "true"
    assert stored(app) == before


def test_concurrent_equal_batches_create_one(app: Flask, key: str) -> None:
    barrier = Barrier(CROWD)

    def hurry(_: int) -> bytes:
        web = app.test_client()
        web.environ_base["HTTP_AUTHORIZATION"] = f"Bearer {key}"
        barrier.wait(timeout=10)
        return post(web, numbered(20), key="k").data

    with ThreadPoolExecutor(CROWD) as pool:
        answers = set(pool.map(hurry, range(CROWD)))

    assert len(answers) == 1
    assert stored(app) == 20


def test_equal_items_of_a_batch_are_separate_messages(web: FlaskClient, app: Flask) -> None:
    """The key is the batch's, not the item's."""
    results = post(web, [HELLO, HELLO], key="k").json["results"]
    assert results[0]["message"]["id"] != results[1]["message"]["id"]
    assert stored(app) == 2


def test_reused_batch_key_fails_only_for_changed_items(web: FlaskClient, app: Flask) -> None:
    first = post(web, numbered(3), key="k").json["results"]
    changed = numbered(3)
    changed[1]["body"] = "Goodbye"
    second = post(web, changed, key="k")
    assert [result["status"] for result in second.json["results"]] == [202, 409, 202]
    assert second.json["results"][0] == first[0]
    assert "Idempotent-Replayed" not in second.headers
    assert stored(app) == 3


def test_corrected_batch_sends_only_the_corrected_item(web: FlaskClient, app: Flask) -> None:
    post(web, [HELLO, {"to": TO}], key="k")
    mended = post(web, [HELLO, HELLO], key="k")
    assert [result["status"] for result in mended.json["results"]] == [202, 202]
    assert "Idempotent-Replayed" not in mended.headers
    assert stored(app) == 2


def test_batch_is_stored_in_one_transaction(
    web: FlaskClient, app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    post(web, [HELLO], key="k")

    def lost(*_: object) -> None:
        raise OperationalError("SELECT 1", {}, Exception("the connection is lost"))

    with monkeypatch.context() as patched:
        patched.setattr(messages, "by_key", lost)
        assert post(web, [HELLO, HELLO], key="k").status_code == 503
    assert stored(app) == 1
    assert post(web, [HELLO, HELLO], key="k").status_code == 202
    assert stored(app) == 2


def test_batch_and_single_post_do_not_share_a_key(web: FlaskClient, app: Flask) -> None:
    single = web.post("/v1/messages", json=HELLO, headers={"Idempotency-Key": "k"})
    [result] = post(web, [HELLO], key="k").json["results"]
    assert result["message"]["id"] != single.json["id"]


@pytest.mark.slow
def test_longest_key_works_for_the_largest_batch(web: FlaskClient, app: Flask) -> None:
    posted = post(web, numbered(1000), key="x" * 255)
    assert {result["status"] for result in posted.json["results"]} == {202}
    assert stored(app) == 1000
