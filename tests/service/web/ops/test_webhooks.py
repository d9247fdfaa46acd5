"""The pages of webhook endpoints, their buttons, and webhooks on the overview and on messages."""

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from flask import Flask
from sqlalchemy import func, select, update

from service.database import db, transaction
from service.errors import FieldError, Invalid
from service.models import WebhookDelivery, WebhookEndpoint
from service.operations import timeline
from service.operations import webhooks as operations
from service.webhooks import deliver as webhooks
from tests.messages import Post
from tests.service.web.ops.conftest import Operator, Subscriber
from tests.service.web.ops.test_overview import HEALTHY, all_replicas_announce, delivered

MINUTES = timedelta(minutes=1)
UNKNOWN = uuid4()


def ago(minutes: float) -> datetime:
    return datetime.now(UTC) - minutes * MINUTES


def at(moment: datetime) -> str:
    return f"{moment:%Y-%m-%dT%H:%M:%S}"


@pytest.fixture
def add(context: Flask, client_id: int) -> Callable[..., UUID]:
    """Add an endpoint that was never called."""

    def endpoint(path: str, **columns: Any) -> UUID:
        fixed = {"types": [], "statuses": [], "secrets": [], "failures": 0}
        times = {"created_at": ago(60), "updated_at": ago(60)}
        url = f"https://shop.example/{path}?token=hidden"
        row = WebhookEndpoint(**{"client_id": client_id, "url": url, **fixed, **times, **columns})
        with transaction():
            db.session.add(row)
        return row.id

    return endpoint


def owe(endpoint_id: UUID, number: int = 1, due_at: datetime | None = None) -> None:
    """Owe an endpoint deliveries; without a time they failed."""
    with transaction():
        last = db.session.scalar(select(func.max(WebhookDelivery.event_id))) or 0
        columns = {"endpoint_id": endpoint_id, "created_at": ago(60), "due_at": due_at}
        for event_id in range(last + 1, last + 1 + number):
            db.session.add(WebhookDelivery(event_id=event_id, attempts=1, **columns))


def change(endpoint_id: UUID, **columns: Any) -> None:
    with transaction():
        row = update(WebhookEndpoint).where(WebhookEndpoint.id == endpoint_id)
        db.session.execute(row.values(**columns))


def delivery() -> WebhookDelivery:
    db.session.rollback()
    return db.session.scalars(select(WebhookDelivery)).one()


def listed(page: str) -> list[str]:
    return re.findall(r'class="address"[^>]*>https://shop.example/([^<]*)<', page)


def test_endpoints_in_trouble_are_listed_first(
    operator: Operator, add: Callable[..., UUID]
) -> None:
    owe(add("good"), due_at=ago(-5))
    owe(add("late"), due_at=ago(2))
    add("disabled", disabled_at=ago(9), disabled_reason="gone")
    add("failing-briefly", failing_since=ago(1))
    add("failing-long", failing_since=ago(50))
    add("deleted", deleted_at=ago(1))
    page = operator.get("/webhooks").text
    assert listed(page) == ["failing-long", "failing-briefly", "disabled", "late", "good"]
    assert "it answered 410" in page
    assert "token=hidden" not in page


def test_list_shows_what_is_owed_and_what_failed(
    operator: Operator, add: Callable[..., UUID]
) -> None:
    endpoint_id = add("hook", failing_since=ago(9), retry_at=ago(-3), succeeded_at=ago(30))
    owe(endpoint_id, 3, due_at=ago(2))
    owe(endpoint_id, 2)
    for page in (operator.get("/webhooks").text, operator.get(f"/webhooks/{endpoint_id}").text):
        for part in ("payments", *(f"{ago(-3):%Y-%m-%d %H:%M}", f"{ago(30):%Y-%m-%d %H:%M}")):
            assert part in page
    assert "Owed: <b>3</b>" in operator.get("/webhooks").text
    assert "Failed: <b>2</b>" in operator.get("/webhooks").text


def test_list_is_paged_and_filtered_by_client(
    operator: Operator, add: Callable[..., UUID], client_id: int
) -> None:
    for number in range(26):
        add(f"hook-{number:02}")
    first, second = (operator.get(f"/webhooks?page={page}").text for page in (1, 2))
    assert listed(first) + listed(second) == [f"hook-{number:02}" for number in range(26)]
    assert ("Next page" in first, "Next page" in second) == (True, False)
    assert len(listed(operator.get("/webhooks?client=payments").text)) == 25
    assert listed(operator.get("/webhooks?client=nobody&page=x").text) == []


def test_page_of_an_endpoint_shows_each_answer(
    operator: Operator, subscriber: Subscriber, post: Post
) -> None:
    message_id = delivered(post)
    webhooks.deliver()
    page = operator.get(f"/webhooks/{subscriber.id}").text
    for part in (str(message_id), "1 attempt,", "<code>500</code>", "failing", "pending"):
        assert part in page
    assert "token=hidden" not in page
    assert str(message_id) not in operator.get(f"/webhooks/{subscriber.id}?status=delivered").text


def test_retry_delivers_and_is_logged(
    operator: Operator, subscriber: Subscriber, post: Post, caplog: pytest.LogCaptureFixture
) -> None:
    delivered(post)
    webhooks.deliver()  # the next attempt is due some seconds later
    subscriber.books.answer = lambda _: (204, {})
    path = f"/webhooks/{subscriber.id}/deliveries/{delivery().id}/retry"
    assert operator.post(path).location == f"/ops/webhooks/{subscriber.id}"
    assert "is due now" in operator.get(f"/webhooks/{subscriber.id}").text
    webhooks.deliver()
    assert len(subscriber.books.received) == 2
    assert delivery().delivered_at
    [logged] = [each.msg for each in caplog.records if "webhook_retried" in str(each.msg)]
    assert (logged["operator"], logged["endpoint_id"]) == ("ada", subscriber.id)


def test_enabled_endpoint_recovers_what_happened_meanwhile(
    operator: Operator, subscriber: Subscriber, post: Post
) -> None:
    disabled_at = ago(1)
    change(subscriber.id, disabled_at=disabled_at, disabled_reason="failing")
    delivered(post)
    page = f"/webhooks/{subscriber.id}"
    operator.post(f"{page}/recover", since=at(ago(5)))
    assert "enable it first" in operator.get(page).text
    answer = operator.post(f"{page}/enable")
    assert answer.location == f"/ops{page}?since={at(disabled_at)}"
    shown = operator.get(answer.location.removeprefix("/ops")).text
    assert "It is owed 0 deliveries now." in shown
    assert f'value="{at(disabled_at)}"' in shown, "the form has the time"
    operator.post(f"{page}/recover", since=at(ago(5)))
    shown = operator.get(page).text
    assert "UTC: 1. It is owed 1 delivery now." in shown
    subscriber.books.answer = lambda _: (204, {})
    webhooks.deliver()
    assert len(subscriber.books.received) == 1


@pytest.mark.parametrize("since", ["", "yesterday", "2026-02-30T10:00", "\0"])
def test_recovery_since_a_wrong_time_is_refused(
    operator: Operator, subscriber: Subscriber, since: str
) -> None:
    operator.post(f"/webhooks/{subscriber.id}/recover", since=since)
    assert 'class="flash bad"' in operator.get("/webhooks").text


def test_reason_of_a_refused_recovery_is_shown(
    operator: Operator, subscriber: Subscriber, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> int:
        raise Invalid("not recovered; see errors", [FieldError("since", "must be in the past")])

    monkeypatch.setattr(operations.recover, "recover", refuse)
    operator.post(f"/webhooks/{subscriber.id}/recover", since="2999-01-01T00:00")
    assert "Not recovered; see errors: since must be in the past." in operator.get("/webhooks").text


def test_wrong_actions_are_explained(operator: Operator, subscriber: Subscriber) -> None:
    wrong = {
        f"{subscriber.id}/enable": "is enabled already",
        f"{subscriber.id}/deliveries/{UNKNOWN}/retry": "no such delivery",
        f"{UNKNOWN}/enable": "no such webhook endpoint",
        f"{UNKNOWN}/deliveries/{UNKNOWN}/retry": "no such webhook endpoint",
    }
    for path, reason in wrong.items():
        operator.post(f"/webhooks/{path}")
        assert reason in operator.get("/webhooks").text
    assert operator.get(f"/webhooks/{UNKNOWN}").status_code == 404


def test_message_page_shows_its_webhooks_and_retries(
    operator: Operator, subscriber: Subscriber, post: Post
) -> None:
    message_id = delivered(post)
    webhooks.deliver()
    page = operator.get(f"/messages/{message_id}").text
    assert "1 attempt, answer 500; next attempt at" in page
    assert "token=hidden" not in page
    subscriber.books.answer = lambda _: (204, {})
    retry = f"/webhooks/{subscriber.id}/deliveries/{delivery().id}/retry"
    assert retry in page
    answer = operator.post(retry, message=str(message_id))
    assert answer.location == f"/ops/messages/{message_id}"
    webhooks.deliver()
    page = operator.get(f"/messages/{message_id}").text
    assert "answer 204; delivered at" in page
    assert retry not in page
    [line] = [line for line in timeline.explain(message_id) if "webhook to" in line]
    assert "answer 204; delivered at" in line
    assert "token=hidden" not in line


def test_delivery_to_a_disabled_endpoint_is_explained(
    operator: Operator, subscriber: Subscriber, post: Post
) -> None:
    message_id = delivered(post)
    change(subscriber.id, disabled_at=ago(1))
    page = operator.get(f"/messages/{message_id}").text
    assert "0 attempts; the endpoint is disabled" in page
    assert "Retry the webhook" not in page


def test_overview_names_troubles_that_last(
    operator: Operator, add: Callable[..., UUID], fresh_overview: Callable[[], str]
) -> None:
    all_replicas_announce()
    endpoint_id = add("hook", failing_since=ago(1))
    add("unused", disabled_at=ago(9))
    assert HEALTHY in fresh_overview(), "a client may restart its server"
    change(endpoint_id, failing_since=ago(9))
    assert "Degraded: 1 failing webhook endpoint, for 9 min" in fresh_overview()
    owe(endpoint_id, due_at=ago(2))
    change(endpoint_id, failing_since=None)
    assert "1 late webhook endpoint, for 2 min" in fresh_overview()
    change(endpoint_id, disabled_at=ago(3), disabled_reason="failing")
    page = fresh_overview()
    assert "1 disabled webhook endpoint, for 3 min" in page
    assert listed(page) == ["hook"]


def test_counts_of_the_list_are_bounded(
    operator: Operator, add: Callable[..., UUID], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(operations, "_LISTED_COUNT", 3)
    owe(add("hook"), 5, due_at=ago(2))
    assert "Owed: <b>3+</b>" in operator.get("/webhooks").text


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://a.example", "https://a.example"),
        (f"https://a.example/{'x' * 200}", f"https://a.example/{'x' * 102}…"),
        ("https://me:word@a.example:8443/x?y=z#f", "https://a.example:8443/x"),
    ],
)
def test_address_has_no_password_and_no_query(url: str, shown: str) -> None:
    assert operations.address(url) == shown
