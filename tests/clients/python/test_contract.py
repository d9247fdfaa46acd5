"""FakeWaybill and the application give the client the same answers."""

from datetime import UTC, datetime, timedelta
from itertools import permutations
from typing import Any
from uuid import uuid4

import pytest

from tests.clients.python.conftest import Server
from waybill_client import (
    Conflict,
    CursorExpired,
    Event,
    Invalid,
    InvalidSignature,
    Message,
    NotFound,
    Problem,
    Unauthenticated,
    Waybill,
    merge,
)
from waybill_client.types import (
    InboundMessage,
    WebhookDelivery,
    WebhookEndpoint,
    WebhookEndpointWithSecret,
)

# The contract does not depend on the database.
pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True, scope="session")

HELLO: dict[str, Any] = {"to": "+14155552671", "body": "Hello"}
NOW = datetime.now(UTC)
TOMORROW = (NOW + timedelta(days=1)).isoformat()


def told(waybill: Waybill, message_id: str, after: str | None = None) -> Event:
    """Return the first event about a message."""
    for event in waybill.events(after=after, wait=0):
        if event["data"]["id"] == message_id:
            return event
    raise AssertionError("the iterator has no end")


# Send


def test_message_has_every_field_of_its_type(waybill: Waybill) -> None:
    accepted = waybill.send(**HELLO)
    assert set(accepted) == set(Message.__annotations__)
    assert waybill.get(accepted["id"]) == accepted


def test_accepted_message_is_normalised_and_complete(waybill: Waybill) -> None:
    accepted = waybill.send(
        to="WhatsApp:+1 (415) 555-2671",
        from_="whatsapp:+15005550006",
        body="Hello",
        send_at=TOMORROW,
        validity_period=60,
        reference="order-1",
        metadata={"tenant": "acme", "n": 2},
        priority="high",
    )
    send_at = datetime.fromisoformat(TOMORROW)
    assert accepted["to"] == "whatsapp:+14155552671"
    assert accepted["from"] == "whatsapp:+15005550006"
    assert abs(datetime.fromisoformat(accepted["send_at"] or "") - send_at).total_seconds() < 0.01
    expires_at = datetime.fromisoformat(accepted["expires_at"] or "")
    assert abs(expires_at - send_at - timedelta(seconds=60)).total_seconds() < 0.01
    assert (accepted["reference"], accepted["priority"]) == ("order-1", "high")
    assert accepted["metadata"] == {"tenant": "acme", "n": 2}
    assert (accepted["status"], accepted["final"], accepted["version"]) == ("pending", False, 1)


@pytest.mark.parametrize(
    ("body", "encoding", "segments"),
    [
        ("Hello", "gsm-7", 1),
        ("a" * 160, "gsm-7", 1),
        ("a" * 161, "gsm-7", 2),
        ("€" * 81, "gsm-7", 2),
        ("ш" * 70, "ucs-2", 1),
        ("ш" * 71, "ucs-2", 2),
        ("😀" * 36, "ucs-2", 2),
    ],
)
def test_segments_are_estimated(waybill: Waybill, body: str, encoding: str, segments: int) -> None:
    accepted = waybill.send(to="+14155552671", body=body)
    assert (accepted["encoding"], accepted["segments"]) == (encoding, segments)


INVALID: list[tuple[dict[str, Any], set[str]]] = [
    ({"body": "Hello"}, {"to"}),
    ({"to": "+14155552671"}, {"(request)"}),
    ({"to": "415", "body": ""}, {"to", "body"}),
    ({**HELLO, "body": " "}, {"body"}),
    ({**HELLO, "body": "a" * 1601}, {"body"}),
    ({**HELLO, "body": "😀" * 801}, {"body"}),
    ({**HELLO, "body": 5}, {"body"}),
    ({**HELLO, "sendat": TOMORROW}, {"sendat"}),
    ({**HELLO, "send_at": "tomorrow"}, {"send_at"}),
    ({**HELLO, "send_at": NOW.isoformat()}, {"send_at"}),
    ({**HELLO, "send_at": "2026-12-24T09:00:00"}, {"send_at"}),
    ({**HELLO, "validity_period": 0}, {"validity_period"}),
    ({**HELLO, "validity_period": "60"}, {"validity_period"}),
    ({**HELLO, "validity_period": 60, "expires_at": TOMORROW}, {"expires_at"}),
    ({**HELLO, "send_at": TOMORROW, "expires_at": TOMORROW}, {"expires_at"}),
    ({**HELLO, "media_urls": []}, {"media_urls"}),
    ({**HELLO, "media_urls": ["ftp://example.com"]}, {"media_urls.0"}),
    ({**HELLO, "content_sid": "HX" + "0" * 32}, {"(request)"}),
    ({**HELLO, "content_variables": {"1": "a"}}, {"(request)"}),
    ({"to": "+14155552671", "content_sid": "HX1"}, {"content_sid"}),
    ({**HELLO, "reference": "r" * 256}, {"reference"}),
    ({**HELLO, "metadata": {"a": {}}}, {"metadata.a"}),
    ({**HELLO, "metadata": {str(i): i for i in range(51)}}, {"metadata"}),
    ({**HELLO, "priority": "urgent"}, {"priority"}),
    ({**HELLO, "resend_if_unknown": "yes"}, {"resend_if_unknown"}),
    ({**HELLO, "provider": "nobody"}, {"provider"}),
    ({**HELLO, "webhook_endpoint": "c37d55d4-23cd-4db8-a15f-86727658f265"}, {"webhook_endpoint"}),
]


@pytest.mark.parametrize(("fields", "wrong"), INVALID, ids=map(str, range(len(INVALID))))
def test_invalid_request_names_every_wrong_field(
    waybill: Waybill, fields: dict[str, Any], wrong: set[str]
) -> None:
    with pytest.raises(Invalid) as refused:
        waybill.send(**fields)
    assert refused.value.status == 422
    assert set(refused.value.errors) == wrong


def test_null_and_default_fields_are_accepted(waybill: Waybill) -> None:
    nothing: Any = dict.fromkeys(("media_urls", "send_at", "reference", "content_sid"))
    first = waybill.send(**HELLO, **nothing, idempotency_key="k")
    assert waybill.send(**HELLO, priority="normal", metadata={}, idempotency_key="k") == first


def test_same_key_sends_once(waybill: Waybill, server: Server) -> None:
    first = waybill.send(**HELLO, idempotency_key="order-1")
    server.deliver(first["id"])
    again = waybill.send(body="Hello", to="+1 (415) 555-2671", idempotency_key="order-1")
    assert again == first
    assert len(list(waybill.messages())) == 1


def test_key_of_another_request_is_a_conflict(waybill: Waybill) -> None:
    waybill.send(**HELLO, idempotency_key="order-1")
    with pytest.raises(Conflict):
        waybill.send(to="+14155552671", body="Another", idempotency_key="order-1")


def test_refused_request_does_not_use_up_its_key(waybill: Waybill) -> None:
    with pytest.raises(Invalid):
        waybill.send(to="+14155552671", body="", idempotency_key="order-1")
    assert waybill.send(**HELLO, idempotency_key="order-1")["body"] == "Hello"


def test_sends_without_a_key_are_two_messages(waybill: Waybill) -> None:
    assert waybill.send(**HELLO)["id"] != waybill.send(**HELLO)["id"]


def test_wrong_api_key_is_refused(server: Server) -> None:
    with pytest.raises(Unauthenticated):
        server.client(api_key="wb_wrong").send(**HELLO)


# Batches


def test_batch_has_a_result_for_each_message(waybill: Waybill) -> None:
    batch: Any = [HELLO, {"to": "nobody", "body": "Hello"}, {**HELLO, "body": "Third"}]
    first, second, third = waybill.send_batch(batch)
    assert isinstance(second, Invalid)
    assert set(second.errors) == {"to"}
    assert not isinstance(first, Problem)
    assert not isinstance(third, Problem)
    assert (first["body"], third["body"]) == ("Hello", "Third")


def test_batch_with_the_same_key_sends_once(waybill: Waybill) -> None:
    batch: Any = [{**HELLO, "reference": str(i)} for i in range(3)]
    first = waybill.send_batch(batch, idempotency_key="batch-1")
    corrected: Any = [*batch[:2], {**HELLO, "reference": "corrected"}]
    again = waybill.send_batch(corrected, idempotency_key="batch-1")
    assert again[:2] == first[:2]
    assert isinstance(again[2], Conflict)
    assert len(list(waybill.messages())) == 3


def test_batch_over_1000_is_split_in_order(waybill: Waybill) -> None:
    batch: Any = [{**HELLO, "reference": str(i)} for i in range(1001)]
    results = waybill.send_batch(batch, idempotency_key="batch-1")
    assert [r["reference"] for r in results if not isinstance(r, Problem)] == [
        str(i) for i in range(1001)
    ]
    assert waybill.send_batch(batch, idempotency_key="batch-1") == results


def test_empty_batch_has_no_results(waybill: Waybill) -> None:
    assert waybill.send_batch([]) == []


# Read


def test_unknown_message_is_not_found(waybill: Waybill) -> None:
    with pytest.raises(NotFound):
        waybill.get(uuid4())


def test_delivered_message_is_final(waybill: Waybill, server: Server) -> None:
    accepted = waybill.send(**HELLO)
    server.deliver(accepted["id"])
    message = waybill.wait(accepted["id"])
    assert (message["status"], message["final"], message["error"]) == ("delivered", True, None)
    assert message["version"] > accepted["version"]
    assert message["provider_sid"]
    assert message["final_at"]
    assert message["submitted_at"]


def test_wait_returns_a_message_that_is_not_final(waybill: Waybill) -> None:
    accepted = waybill.send(**HELLO)
    assert waybill.wait(accepted["id"], timeout=0) == accepted


def test_failed_message_has_an_error(waybill: Waybill, server: Server) -> None:
    message_id = waybill.send(**HELLO)["id"]
    server.fail(message_id, "30003")
    message = waybill.get(message_id)
    assert (message["status"], message["final"]) == ("failed", True)
    assert message["error"] is not None
    assert message["error"]["code"] == "30003"
    assert message["error"]["explanation"]
    assert message["error"]["retryable"] is False


def test_list_has_all_pages_newest_first(waybill: Waybill) -> None:
    sent = [waybill.send(**HELLO, reference=f"order-{i % 2}") for i in range(5)]
    assert list(waybill.messages(limit=2)) == sent[::-1]
    assert list(waybill.messages(reference="order-1")) == [sent[3], sent[1]]
    assert list(waybill.messages(status="delivered")) == []
    assert list(waybill.messages(to="+1 415 555 2671", limit=5)) == sent[::-1]
    assert list(waybill.messages(created_after=TOMORROW)) == []


@pytest.mark.parametrize(
    "filters", [{"status": "lost"}, {"limit": 0}, {"limit": 201}, {"limit": "x"}, {"colour": "red"}]
)
def test_invalid_filter_is_refused(waybill: Waybill, filters: Any) -> None:
    with pytest.raises(Invalid) as refused:
        list(waybill.messages(**filters))
    assert set(refused.value.errors) == set(filters)


# Cancel and resend


def test_pending_message_is_canceled(waybill: Waybill) -> None:
    message_id = waybill.send(**HELLO, send_at=TOMORROW)["id"]
    canceled = waybill.cancel(message_id)
    assert (canceled["status"], canceled["final"]) == ("canceled", True)
    assert waybill.cancel(message_id) == canceled
    assert told(waybill, message_id)["data"] == canceled


def test_delivered_message_is_neither_canceled_nor_resent(waybill: Waybill, server: Server) -> None:
    message_id = waybill.send(**HELLO)["id"]
    server.deliver(message_id)
    for action in (waybill.cancel, waybill.resend):
        with pytest.raises(Conflict):
            action(message_id)
    with pytest.raises(NotFound):
        waybill.cancel(uuid4())


def test_failed_message_is_sent_again(waybill: Waybill, server: Server) -> None:
    message_id = waybill.send(**HELLO)["id"]
    server.fail(message_id, "30003")
    failed = waybill.get(message_id)
    again = waybill.resend(message_id)
    assert (again["id"], again["status"], again["final"]) == (message_id, "pending", False)
    assert again["version"] > failed["version"]
    with pytest.raises(Conflict):
        waybill.resend(message_id)
    server.deliver(message_id)
    assert waybill.get(message_id)["status"] == "delivered"


# Events


def test_events_show_the_messages_as_they_are(waybill: Waybill, server: Server) -> None:
    message_id = waybill.send(**HELLO)["id"]
    server.deliver(message_id)
    event = told(waybill, message_id)
    assert event["data"] == waybill.get(message_id)
    assert event["type"] == "message.updated"
    assert event["id"].startswith("evt_")


def test_events_resume_behind_their_cursor(waybill: Waybill, server: Server) -> None:
    first = waybill.send(**HELLO)["id"]
    server.deliver(first)
    events = waybill.events(wait=0)
    seen = {next(events)["data"]["id"]}
    second = waybill.send(**HELLO)["id"]
    server.deliver(second)
    while second not in seen:
        seen.add(next(events)["data"]["id"])
    assert seen == {first, second}
    assert told(waybill, second, after=events.cursor)["data"]["id"] == second


def test_events_after_now_leave_out_earlier_ones(waybill: Waybill, server: Server) -> None:
    server.deliver(waybill.send(**HELLO)["id"])
    events = waybill.events(after="now", types=["message.updated"], wait=0)
    events._read()  # the position of "now" is that of the first request
    message_id = waybill.send(**HELLO)["id"]
    server.deliver(message_id)
    assert next(events)["data"]["id"] == message_id


@pytest.mark.parametrize(
    ("options", "field"), [({"after": "x"}, "after"), ({"types": ["x"]}, "types")]
)
def test_invalid_feed_parameters_are_refused(
    waybill: Waybill, options: dict[str, Any], field: str
) -> None:
    with pytest.raises(Invalid) as refused:
        next(waybill.events(wait=0, **options))
    assert {name.partition(".")[0] for name in refused.value.errors} == {field}


def test_cursor_of_deleted_events_has_expired(waybill: Waybill, server: Server) -> None:
    server.deliver(waybill.send(**HELLO)["id"])
    with pytest.raises(CursorExpired) as expired:
        next(waybill.events(after=server.expired_cursor(), wait=0))
    assert expired.value.status == 410


# Inbound messages

PERSON, STRANGER = "+14155552671", "+14155552672"


@pytest.fixture
def answered(waybill: Waybill, server: Server) -> str:
    """A delivered message; return its id."""
    message_id = waybill.send(**HELLO)["id"]
    server.deliver(message_id)
    return message_id


def test_reply_has_every_field_of_its_type(waybill: Waybill, server: Server, answered: str) -> None:
    server.receive("Fine", PERSON)
    [reply] = waybill.inbound.list()
    assert set(reply) == InboundMessage.__required_keys__
    assert waybill.inbound.get(reply["id"]) == reply
    assert (reply["from"], reply["to"], reply["body"]) == (PERSON, "+15005550006", "Fine")
    assert (reply["in_reply_to"], reply["keyword"], reply["media"]) == (answered, None, [])
    assert reply["raw"]["Body"] == "Fine"


def test_reply_answers_the_last_message_that_was_sent(
    waybill: Waybill, server: Server, answered: str
) -> None:
    waybill.send(**HELLO, send_at=TOMORROW)
    server.receive("Fine", PERSON)
    assert [reply["in_reply_to"] for reply in waybill.inbound.list()] == [answered]


def test_inbound_list_has_all_pages_and_filters(
    waybill: Waybill, server: Server, answered: str
) -> None:
    for body in ("One", "stop ", "Three"):
        server.receive(body, PERSON)
    listed = list(waybill.inbound.list(limit=2))
    assert [message["body"] for message in listed] == ["Three", "stop ", "One"]
    assert list(waybill.inbound.list(keyword="stop")) == [listed[1]]
    assert list(waybill.inbound.list(from_="+1 415 555 2671", to="+15005550006")) == listed
    assert list(waybill.inbound.list(in_reply_to=answered)) == listed
    assert list(waybill.inbound.list(from_=STRANGER)) == []
    assert list(waybill.inbound.list(received_after=TOMORROW)) == []


@pytest.mark.parametrize(
    "filters", [{"keyword": "hello"}, {"in_reply_to": "7"}, {"limit": 201}, {"form": PERSON}]
)
def test_invalid_inbound_filter_is_refused(waybill: Waybill, filters: Any) -> None:
    with pytest.raises(Invalid) as refused:
        list(waybill.inbound.list(**filters))
    assert set(refused.value.errors) == set(filters)


def test_unknown_inbound_message_is_not_found(waybill: Waybill) -> None:
    with pytest.raises(NotFound):
        waybill.inbound.get(uuid4())


def test_feed_shows_replies_alone_or_beside_updates(
    waybill: Waybill, server: Server, answered: str
) -> None:
    server.receive("Fine", PERSON)
    event = next(waybill.events(types=["message.received"], wait=0))
    assert (event["type"], event["data"]) == ("message.received", next(waybill.inbound.list()))
    other = waybill.send(**HELLO)["id"]
    server.deliver(other)
    shown = set[str]()
    for event in waybill.events(wait=0):
        shown.add(event["type"])
        if event["data"]["id"] == other:
            break
    assert shown == {"message.updated", "message.received"}


def test_reply_is_posted_to_endpoints_that_ask(waybill: Waybill, server: Server) -> None:
    create, url = waybill.webhook_endpoints.create, server.endpoint_url
    asks = create(url=url, types=["message.received"])
    silent = create(url=url)
    message_id = waybill.send(**HELLO)["id"]
    server.deliver(message_id)
    server.receive("Fine", PERSON)
    server.make_deliveries()
    [delivery] = waybill.webhook_endpoints.deliveries(asks["id"])
    [reply] = waybill.inbound.list()
    assert delivery["message_id"] == reply["id"]
    told_of = [each["message_id"] for each in waybill.webhook_endpoints.deliveries(silent["id"])]
    assert told_of == [message_id]


@pytest.mark.parametrize("include_body", [False, True])
def test_reply_is_posted_signed(waybill: Waybill, server: Server, include_body: bool) -> None:
    endpoint = waybill.webhook_endpoints.create(
        url=server.endpoint_url, types=["message.received"], include_body=include_body
    )
    server.deliver(waybill.send(**HELLO)["id"])
    server.receive("Fine", PERSON)
    [event] = server.received(endpoint["secret"])
    [reply] = waybill.inbound.list()
    content = set() if include_body else {"body", "media", "raw"}
    assert event["data"] == {name: value for name, value in reply.items() if name not in content}
    kept = merge(None, event["data"])
    assert merge(kept, event["data"]) == event["data"]


# Webhooks


@pytest.fixture
def endpoint_of_orders(waybill: Waybill, server: Server) -> WebhookEndpointWithSecret:
    return waybill.webhook_endpoints.create(url=server.endpoint_url, description="orders")


def test_endpoint_has_every_field_of_its_type(
    waybill: Waybill, server: Server, endpoint_of_orders: WebhookEndpointWithSecret
) -> None:
    assert set(endpoint_of_orders) == set(WebhookEndpointWithSecret.__annotations__)
    shown = waybill.webhook_endpoints.get(endpoint_of_orders["id"])
    assert set(shown) == set(WebhookEndpoint.__annotations__)
    assert waybill.webhook_endpoints.list() == [shown]
    assert {**shown, "secret": endpoint_of_orders["secret"]} == endpoint_of_orders
    assert (shown["url"], shown["enabled"]) == (server.endpoint_url, True)
    assert (shown["types"], shown["include_body"]) == (["message.updated"], False)
    final = {"expired", "canceled", "failed", "undelivered", "delivered", "read"}
    assert set(shown["statuses"]) == final


def test_endpoint_is_changed_and_deleted(
    waybill: Waybill, endpoint_of_orders: WebhookEndpointWithSecret
) -> None:
    endpoints, endpoint_id = waybill.webhook_endpoints, endpoint_of_orders["id"]
    changed = endpoints.update(endpoint_id, description=None, statuses=["failed"])
    assert (changed["description"], changed["statuses"]) == (None, ["failed"])
    assert endpoints.enable(endpoint_id) == changed
    endpoints.delete(endpoint_id)
    assert endpoints.list() == []
    for call in (endpoints.get, endpoints.delete, endpoints.test, endpoints.enable):
        with pytest.raises(NotFound):
            call(endpoint_id)


@pytest.mark.parametrize(
    ("fields", "wrong"),
    [
        ({}, "url"),
        ({"url": "ftp://example.com"}, "url"),
        ({"url": "https://example.com", "statuses": ["lost"]}, "statuses.0"),
        ({"url": "https://example.com", "statuses": []}, "statuses"),
        ({"url": "https://example.com", "types": ["x"]}, "types.0"),
        ({"url": "https://example.com", "color": "red"}, "color"),
    ],
)
def test_invalid_endpoint_names_the_wrong_field(waybill: Waybill, fields: Any, wrong: str) -> None:
    with pytest.raises(Invalid) as refused:
        waybill.webhook_endpoints.create(**fields)
    assert set(refused.value.errors) == {wrong}


def test_seventeenth_endpoint_is_a_conflict(waybill: Waybill, server: Server) -> None:
    for _ in range(16):
        waybill.webhook_endpoints.create(url=server.endpoint_url)
    with pytest.raises(Conflict):
        waybill.webhook_endpoints.create(url=server.endpoint_url)


def test_final_status_is_posted_signed(
    waybill: Waybill, server: Server, endpoint_of_orders: WebhookEndpointWithSecret
) -> None:
    message_id = waybill.send(**HELLO)["id"]
    server.deliver(message_id)
    [event] = server.received(endpoint_of_orders["secret"])
    shown = waybill.get(message_id)
    content = {"body", "media_urls", "content_variables"}
    assert event["data"] == {name: shown[name] for name in shown if name not in content}  # type: ignore[literal-required]
    assert event["id"] in {e["id"] for e in until(waybill, event["id"])}
    [delivery] = waybill.webhook_endpoints.deliveries(endpoint_of_orders["id"])
    assert set(delivery) == set(WebhookDelivery.__annotations__)
    assert (delivery["event_id"], delivery["message_id"]) == (event["id"], message_id)
    assert (delivery["status"], delivery["attempts"]) == ("delivered", 1)
    assert waybill.webhook_endpoints.recover(endpoint_of_orders["id"], NOW.isoformat()) == 0


def until(waybill: Waybill, event_id: str) -> list[Event]:
    """Return the events up to one."""
    events = list[Event]()
    for event in waybill.events(wait=0):
        events.append(event)
        if event["id"] == event_id:
            break
    return events


def test_copies_in_any_order_merge_to_the_message(waybill: Waybill, server: Server) -> None:
    endpoint = waybill.webhook_endpoints.create(
        url=server.endpoint_url, statuses=["queued", "failed", "delivered"], include_body=True
    )
    message_id = waybill.send(**HELLO)["id"]
    server.fail(message_id, "30003")
    server.received(endpoint["secret"])
    waybill.resend(message_id)
    server.deliver(message_id)
    copies = [event["data"] for event in server.received(endpoint["secret"])]
    assert len(copies) >= 2
    for order in permutations(copies):
        kept: Message | None = None
        for copy in order:
            kept = merge(kept, copy)
        assert kept == waybill.get(message_id)


def test_message_is_posted_to_the_endpoint_it_names(waybill: Waybill, server: Server) -> None:
    endpoints = waybill.webhook_endpoints
    one, other = (endpoints.create(url=server.endpoint_url) for _ in range(2))
    message = waybill.send(**HELLO, webhook_endpoint=other["id"])
    assert message["webhook_endpoint"] == other["id"]
    server.deliver(message["id"])
    assert len(server.received(other["secret"])) == 1
    assert list(endpoints.deliveries(one["id"])) == []


def test_both_secrets_sign_during_the_overlap(
    waybill: Waybill, server: Server, endpoint_of_orders: WebhookEndpointWithSecret
) -> None:
    rotated = waybill.webhook_endpoints.rotate_secret(endpoint_of_orders["id"])
    assert rotated["secret"] != endpoint_of_orders["secret"]
    test = waybill.webhook_endpoints.test(endpoint_of_orders["id"])
    assert (test["message_id"], test["event_id"][:4]) == (None, "evt_")
    for secret in (rotated["secret"], endpoint_of_orders["secret"]):
        [event] = server.received(secret)
        assert (event["id"], event["type"]) == (test["event_id"], "webhook.test")


def test_rotation_without_overlap_ends_the_earlier_secrets(
    waybill: Waybill, server: Server, endpoint_of_orders: WebhookEndpointWithSecret
) -> None:
    endpoints, endpoint_id = waybill.webhook_endpoints, endpoint_of_orders["id"]
    for _ in range(9):
        endpoints.rotate_secret(endpoint_id)
    with pytest.raises(Conflict):
        endpoints.rotate_secret(endpoint_id)
    secret = endpoints.rotate_secret(endpoint_id, overlap_seconds=0)["secret"]
    endpoints.test(endpoint_id)
    assert len(server.received(secret)) == 1
    with pytest.raises(InvalidSignature):
        server.received(endpoint_of_orders["secret"])


def test_delivery_is_found_and_retried(
    waybill: Waybill, server: Server, endpoint_of_orders: WebhookEndpointWithSecret
) -> None:
    endpoints, endpoint_id = waybill.webhook_endpoints, endpoint_of_orders["id"]
    message_ids = [waybill.send(**HELLO)["id"] for _ in range(3)]
    for message_id in message_ids:
        server.deliver(message_id)
    server.received(endpoint_of_orders["secret"])
    deliveries = list(endpoints.deliveries(endpoint_id, limit=2))
    assert {each["message_id"] for each in deliveries} == set(message_ids)
    assert list(endpoints.deliveries(endpoint_id, message_id=message_ids[0])) == [
        each for each in deliveries if each["message_id"] == message_ids[0]
    ]
    assert list(endpoints.deliveries(endpoint_id, status="failed")) == []
    retried = endpoints.retry(endpoint_id, deliveries[0]["id"])
    assert retried["id"] == deliveries[0]["id"]
    with pytest.raises(NotFound):
        endpoints.retry(endpoint_id, str(uuid4()))
