"""What an endpoint missed is delivered after one call; a single delivery after a retry."""

import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import delete, text, update

from service.database import db
from service.models import Event, WebhookDelivery, WebhookEndpoint
from service.queries import webhook_deliveries
from service.queries.dialect import is_postgresql
from service.recording import record
from service.sending import deliver as sending
from service.webhooks import deliver as webhooks
from service.webhooks import recover as module
from tests.fakes import FakeProvider, said
from tests.service.webhooks.receiver import Receiver

Subscribe = Callable[..., dict[str, Any]]
Send = Callable[..., str]


@pytest.fixture
def send(web: FlaskClient, provider: FakeProvider) -> Send:
    """Post a message, send it, and report a status; return the id."""

    def sent(word: str = "delivered", **fields: Any) -> str:
        message = {"to": "+14155552671", "body": "Hello", **fields}
        message_id = str(web.post("/v1/messages", json=message).json["id"])
        sending.deliver()
        record.record([said(word, attempt_id=provider.on_air[-1].attempt_id)])
        return message_id

    return sent


@pytest.fixture
def down(endpoint: Receiver) -> Receiver:
    """An endpoint that answers 500 until `up` is called."""
    endpoint.answer = lambda _: (500, {})
    return endpoint


def up(endpoint: Receiver) -> None:
    endpoint.received.clear()
    endpoint.answer = lambda _: (204, {})


def path_of(created: dict[str, Any]) -> str:
    return f"/v1/webhook-endpoints/{created['id']}"


def ago(**time: float) -> str:
    return (datetime.now(UTC) - timedelta(**time)).isoformat()


def recover(web: FlaskClient, created: dict[str, Any], since: str | None = None) -> int:
    answer = web.post(f"{path_of(created)}/recover", json={"since": since or ago(hours=1)})
    assert answer.status_code == 202, answer.json
    return int(answer.json["recovered"])


def received_by(endpoint: Receiver) -> list[str]:
    """Deliver what is due; return the messages that arrived, in order."""
    webhooks.deliver()
    return [request.json["data"]["id"] for request in endpoint.received]


def write(table: Any, **columns: Any) -> None:
    db.session.execute(update(table).values(**columns))
    db.session.commit()


def test_one_call_delivers_all_that_failed_or_waits(
    web: FlaskClient, subscribe: Subscribe, send: Send, down: Receiver
) -> None:
    created = subscribe()
    failed = send()
    webhooks.deliver()
    write(WebhookDelivery, due_at=None)  # its last attempt
    waiting = send()
    write(WebhookEndpoint, retry_at=None)
    webhooks.deliver()
    up(down)
    write(WebhookEndpoint, failures=9, retry_at=datetime.now(UTC) + timedelta(minutes=5))
    db.session.execute(
        update(WebhookDelivery)
        .where(WebhookDelivery.due_at.is_not(None))
        .values(due_at=datetime.now(UTC) + timedelta(hours=10))
    )
    db.session.commit()
    assert received_by(down) == []

    assert recover(web, created) == 2
    assert sorted(received_by(down)) == sorted([failed, waiting])
    assert recover(web, created) == 0


def test_disabled_endpoint_recovers_what_was_never_owed(
    web: FlaskClient, subscribe: Subscribe, send: Send, endpoint: Receiver
) -> None:
    created = subscribe()
    write(WebhookEndpoint, disabled_at=datetime.now(UTC), disabled_reason="gone")
    missed = [send() for _ in range(3)]
    answer = web.post(f"{path_of(created)}/recover", json={"since": ago(hours=1)})
    assert answer.status_code == 409
    web.post(f"{path_of(created)}/enable")
    assert received_by(endpoint) == []

    assert recover(web, created) == 3
    assert sorted(received_by(endpoint)) == sorted(missed)
    assert recover(web, created) == 0


def test_transaction_numbers_exceed_32_bits(
    web: FlaskClient, subscribe: Subscribe, send: Send, endpoint: Receiver
) -> None:
    """A server that commits a thousand transactions a second has them after 25 days."""
    created = subscribe()
    missed = send()
    db.session.execute(delete(WebhookDelivery))
    write(Event, transaction_id=2**40)

    assert recover(web, created) == 1
    assert received_by(endpoint) == [missed]


def test_recover_keeps_to_the_choice_of_the_endpoint(
    web: FlaskClient, subscribe: Subscribe, send: Send, endpoint: Receiver
) -> None:
    elsewhere = subscribe(statuses=["read"])
    created = subscribe(statuses=["delivered"])
    web.patch(path_of(created), json={"statuses": ["failed"]})
    failed = send("failed")
    send("delivered")
    send("failed", webhook_endpoint=elsewhere["id"])
    db.session.execute(delete(WebhookDelivery))
    db.session.commit()
    assert recover(web, created) == 1
    assert received_by(endpoint) == [failed]


def test_recover_begins_at_the_time(
    web: FlaskClient, subscribe: Subscribe, send: Send, endpoint: Receiver
) -> None:
    created = subscribe()
    write(WebhookEndpoint, disabled_at=datetime.now(UTC))
    messages = [send() for _ in range(6)]
    for hours, message_id in zip((50, 40, 25.05, 20, 10, 1), messages, strict=True):
        at = datetime.now(UTC) - timedelta(hours=hours)
        write_event(message_id, at)
    web.post(f"{path_of(created)}/enable")
    assert recover(web, created, ago(hours=25)) == 3
    assert sorted(received_by(endpoint)) == sorted(messages[3:])
    assert recover(web, created, ago(hours=45)) == 2


def write_event(message_id: str, at: datetime) -> None:
    changed = update(Event).where(Event.message_id == UUID(message_id))
    db.session.execute(changed.values(created_at=at))
    db.session.commit()


def test_recover_reads_in_batches(
    web: FlaskClient,
    subscribe: Subscribe,
    send: Send,
    endpoint: Receiver,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "_BATCH", 2)
    created = subscribe()
    write(WebhookEndpoint, disabled_at=datetime.now(UTC))
    missed = [send() for _ in range(5)]
    web.post(f"{path_of(created)}/enable")
    assert recover(web, created) == 5
    assert sorted(received_by(endpoint)) == sorted(missed)


def test_long_recovery_goes_on_at_its_cursor(
    web: FlaskClient,
    subscribe: Subscribe,
    send: Send,
    endpoint: Receiver,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "_BATCH", 3)
    created = subscribe()
    write(WebhookEndpoint, disabled_at=datetime.now(UTC))
    missed = [send() for _ in range(5)]
    web.post(f"{path_of(created)}/enable")
    order, count, parts = {"since": ago(hours=1)}, 0, 0
    clock = iter(range(0, 10_000, 10))  # each part has time for one batch
    with monkeypatch.context() as patched:
        patched.setattr(module, "monotonic", lambda: next(clock))
        while parts == 0 or "cursor" in order:
            answer = web.post(f"{path_of(created)}/recover", json=order).json
            order = {"since": order["since"]}
            if answer["next_cursor"]:
                order["cursor"] = answer["next_cursor"]
            count, parts = count + answer["recovered"], parts + 1
    assert count == 5
    assert parts > 1
    assert sorted(received_by(endpoint)) == sorted(missed)


@pytest.mark.parametrize("cursor", ["", "x", "1", "1-2-3", 5, "9" * 30 + "-1"])
def test_invalid_cursor_is_refused(web: FlaskClient, subscribe: Subscribe, cursor: Any) -> None:
    order = {"since": ago(hours=1), "cursor": cursor}
    answer = web.post(f"{path_of(subscribe())}/recover", json=order)
    assert answer.status_code == 422
    assert [error["field"] for error in answer.json["errors"]] == ["cursor"]


def test_call_under_way_is_not_made_twice(
    web: FlaskClient, subscribe: Subscribe, send: Send, endpoint: Receiver
) -> None:
    """A worker has claimed the delivery: it is due again when the lease ends."""
    created = subscribe()
    send()
    lease = datetime.now(UTC) + timedelta(seconds=44)
    write(WebhookDelivery, due_at=lease, attempts=1)
    assert recover(web, created) == 0
    assert db.session.scalars(db.select(WebhookDelivery.due_at)).one() == lease


def test_recover_ends_the_pause_of_an_endpoint(
    web: FlaskClient, subscribe: Subscribe, send: Send, endpoint: Receiver
) -> None:
    """The delivery is due, and only the endpoint waits."""
    created = subscribe()
    message_id = send()
    now = datetime.now(UTC)
    write(WebhookEndpoint, retry_at=now + timedelta(minutes=5), failing_since=now, failures=20)
    assert received_by(endpoint) == []
    recover(web, created)
    assert received_by(endpoint) == [message_id]


def test_old_call_that_fails_does_not_delay_a_recovered_delivery(
    web: FlaskClient, subscribe: Subscribe, send: Send
) -> None:
    """It was under way when the receiver worked again: its next try would be hours later."""
    created = subscribe()
    send()
    lease = datetime.now(UTC) + timedelta(seconds=44)
    write(WebhookDelivery, due_at=lease, attempts=4)
    recover(web, created)
    failed = {"due_at": lease + timedelta(hours=5), "answer_status": 500, "error": None}
    key = db.session.scalars(db.select(WebhookDelivery.id)).one()
    rows = [{"key": key, "attempts": 4, "delivered_at": None, **failed}]
    webhook_deliveries.write_results(rows)
    assert db.session.scalars(db.select(WebhookDelivery.due_at)).one() == lease


@pytest.mark.parametrize(
    "since",
    [ago(days=31), ago(days=-1), "2026-11-26", "yesterday", 5, None],
    ids=["too old", "in the future", "date", "word", "number", "null"],  # the same in each process
)
def test_invalid_time_is_refused(web: FlaskClient, subscribe: Subscribe, since: Any) -> None:
    created = subscribe()
    answer = web.post(f"{path_of(created)}/recover", json={"since": since})
    assert answer.status_code == 422
    assert [error["field"] for error in answer.json["errors"]] == ["since"]


def test_recover_without_events_finds_none(web: FlaskClient, subscribe: Subscribe) -> None:
    assert recover(web, subscribe()) == 0


def test_retry_delivers_one_delivery_now(
    web: FlaskClient, subscribe: Subscribe, send: Send, down: Receiver
) -> None:
    created = subscribe()
    send()
    webhooks.deliver()
    write(WebhookDelivery, due_at=None, attempts=10)
    write(WebhookEndpoint, retry_at=datetime.now(UTC) + timedelta(minutes=5))
    up(down)
    [failed] = web.get(f"{path_of(created)}/deliveries").json["deliveries"]
    assert failed["status"] == "failed"

    answer = web.post(f"{path_of(created)}/deliveries/{failed['id']}/retry")
    assert (answer.status_code, answer.json["status"]) == (202, "pending")
    assert len(received_by(down)) == 1
    [delivered] = web.get(f"{path_of(created)}/deliveries").json["deliveries"]
    assert (delivered["status"], delivered["attempts"]) == ("delivered", 1)


@pytest.mark.parametrize("call", ["retry", "recover"])
def test_schedule_of_attempts_starts_over(
    web: FlaskClient, subscribe: Subscribe, send: Send, down: Receiver, call: str
) -> None:
    """Otherwise a delivery that fails once more would have had its last attempt."""
    created = subscribe()
    send()
    webhooks.deliver()
    write(WebhookDelivery, due_at=None, attempts=10)
    [failed] = web.get(f"{path_of(created)}/deliveries").json["deliveries"]
    if call == "retry":
        web.post(f"{path_of(created)}/deliveries/{failed['id']}/retry")
    else:
        assert recover(web, created) == 1
    webhooks.deliver()
    [waiting] = web.get(f"{path_of(created)}/deliveries").json["deliveries"]
    assert (waiting["status"], waiting["attempts"]) == ("pending", 1)


def test_recover_waits_for_transactions_that_began_before(
    context: Flask, web: FlaskClient, subscribe: Subscribe, send: Send
) -> None:
    if not is_postgresql():
        pytest.skip("on SQLite one transaction writes at a time")
    created = subscribe()
    write(WebhookEndpoint, disabled_at=datetime.now(UTC))
    send()
    web.post(f"{path_of(created)}/enable")
    counts = list[int]()

    def run() -> None:
        with context.app_context():
            counts.append(recover(web, created))

    with db.engine.connect() as late:
        late.execute(text(LATE_EVENT))
        thread = threading.Thread(target=run)
        thread.start()
        thread.join(0.5)
        assert thread.is_alive()
        late.commit()
        thread.join()
    assert counts == [2]


# An event of the same message, in a transaction that has not committed.
LATE_EVENT = """
INSERT INTO event (transaction_id, client_id, type, message_id, status, version, created_at)
SELECT pg_current_xact_id()::text::bigint, client_id, type, message_id, status, version, created_at
FROM event WHERE status = 'delivered'
"""


def test_disabled_endpoint_is_enabled_before_a_retry(
    web: FlaskClient, subscribe: Subscribe, send: Send, endpoint: Receiver
) -> None:
    created = subscribe()
    send()
    [delivery] = web.get(f"{path_of(created)}/deliveries").json["deliveries"]
    write(WebhookEndpoint, disabled_at=datetime.now(UTC), disabled_reason="failing")
    for suffix in (f"/deliveries/{delivery['id']}/retry", "/test"):
        answer = web.post(path_of(created) + suffix)
        assert answer.status_code == 409
        assert "enable" in answer.json["detail"]
    assert received_by(endpoint) == []
    web.post(f"{path_of(created)}/enable")
    assert len(received_by(endpoint)) == 1


def test_unknown_delivery_cannot_be_retried(
    web: FlaskClient, subscribe: Subscribe, send: Send
) -> None:
    created, other = subscribe(), subscribe(statuses=["read"])
    send()
    [delivery] = web.get(f"{path_of(created)}/deliveries").json["deliveries"]
    for path, delivery_id in ((path_of(created), uuid4()), (path_of(other), delivery["id"])):
        assert web.post(f"{path}/deliveries/{delivery_id}/retry").status_code == 404
