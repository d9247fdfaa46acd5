"""`from: "pool:NAME"` picks a sender: the one that the recipient has, else by a hash."""

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import event

from service.config.types import SenderRate
from service.database import db, transaction
from service.domain.scope import HoldKind, Scope
from service.queries import holds
from service.sending import deliver
from service.sending.pools import ranked
from tests.conftest import make_key
from tests.fakes import FakeProvider
from tests.service.web.api.test_messages_ownership import client_of, give

SENDERS = [f"+1500555000{number}" for number in range(1, 6)]
PERSON = "+14155552671"
RECIPIENTS = [f"+14155{number:06}" for number in range(100_000, 110_000)]
SERVICE = "MG" + "1" * 32


@pytest.fixture
def pool(app: Flask, web: FlaskClient) -> list[str]:
    """Three numbers of the client in the pool `spring`."""
    for sender in SENDERS[:3]:
        give(app, "billing", sender, "--pool", "spring")
    return SENDERS[:3]


def post(web: FlaskClient, to: str = PERSON, sender: str = "pool:spring", **fields: Any) -> Any:
    return web.post("/v1/messages", json={"to": to, "from": sender, "body": "Hello", **fields})


def sender_of(answer: Any) -> str:
    assert answer.status_code == 202, answer.json
    sender: str = answer.json["from"] or answer.json["messaging_service_sid"]
    return sender


def posted(web: FlaskClient, recipients: list[str]) -> dict[str, str]:
    """Post to these recipients in batches; return the sender of each message by recipient."""
    senders = dict[str, str]()
    for start in range(0, len(recipients), 1000):
        items = [
            {"to": to, "from": "pool:spring", "body": "Hello"}
            for to in recipients[start : start + 1000]
        ]
        answer = web.post("/v1/messages/batch", json={"messages": items})
        for result in answer.json["results"]:
            senders[result["message"]["to"]] = result["message"]["from"]
    return senders


def hold(sender: str, kind: HoldKind = HoldKind.BLOCKED) -> None:
    with transaction():
        key = (Scope.SENDER.value, "twilio", "default", sender)
        holds.open_hold(key, kind, "21606", "not a sender", datetime.now(UTC))


def first_choice(senders: list[str], to: str) -> str:
    return next(ranked(dict.fromkeys(senders, 1.0), to, None))


def test_message_has_a_plain_sender(
    web: FlaskClient, pool: list[str], provider: FakeProvider, context: Flask
) -> None:
    accepted = post(web, sender=" Pool:Spring")
    assert sender_of(accepted) in pool
    deliver.deliver()
    assert [sent.sender for sent in provider.on_air] == [accepted.json["from"]]


@pytest.mark.slow
def test_10_000_recipients_are_shared_evenly_and_stay(
    app: Flask, web: FlaskClient, pool: list[str]
) -> None:
    """Also when a sender is added."""
    first = posted(web, RECIPIENTS)
    for count in Counter(first.values()).values():
        assert count == pytest.approx(10_000 / 3, rel=0.1)
    give(app, "billing", SENDERS[3], "--pool", "spring")
    assert posted(web, RECIPIENTS[:1000]) == {to: first[to] for to in RECIPIENTS[:1000]}
    others = [f"+1212{number:07}" for number in range(5_550_000, 5_554_000)]
    for count in Counter(posted(web, others).values()).values():
        assert count == pytest.approx(1000, rel=0.1)


@pytest.mark.parametrize("rates", [{}, {SENDERS[0]: 30.0, SENDERS[1]: 60.0, SENDERS[2]: 10.0}])
def test_first_messages_follow_the_rates(
    web: FlaskClient, pool: list[str], configure: Any, rates: dict[str, float]
) -> None:
    configure(
        sender_rates=tuple(SenderRate(sender=name, rate=rate) for name, rate in rates.items())
    )
    weights = rates or dict.fromkeys(pool, 1.0)
    recipients = RECIPIENTS[:1000]
    assert posted(web, recipients) == {to: next(ranked(weights, to, None)) for to in recipients}


def test_recipient_keeps_its_sender_when_the_pool_grows(
    app: Flask, web: FlaskClient, pool: list[str]
) -> None:
    recipients = RECIPIENTS[:50]
    before = posted(web, recipients)
    for sender in SENDERS[3:]:
        give(app, "billing", sender, "--pool", "spring")
    assert posted(web, recipients) == before
    assert any(first_choice(SENDERS, to) != before[to] for to in recipients)


def test_last_message_from_a_named_sender_counts(web: FlaskClient, pool: list[str]) -> None:
    for sender in pool:
        assert sender_of(post(web, sender=sender)) == sender
        assert sender_of(post(web)) == sender
    post(web, sender="ACME")  # not in the pool
    assert sender_of(post(web)) == first_choice(pool, PERSON)


def test_messages_of_another_client_do_not_count(
    app: Flask, web: FlaskClient, pool: list[str]
) -> None:
    other = client_of(app, make_key(app, "marketing"))
    unlikely = next(sender for sender in pool if sender != first_choice(pool, PERSON))
    assert sender_of(post(other, sender=unlikely)) == unlikely
    assert sender_of(post(web)) == first_choice(pool, PERSON)


def test_messages_of_one_batch_share_a_sender(web: FlaskClient, pool: list[str]) -> None:
    items = [{"to": PERSON, "from": "pool:spring", "body": f"{number}"} for number in range(9)]
    results = web.post("/v1/messages/batch", json={"messages": items}).json["results"]
    assert {result["message"]["from"] for result in results} == {first_choice(pool, PERSON)}


def test_first_messages_at_the_same_time_share_a_sender(
    app: Flask, web: FlaskClient, pool: list[str]
) -> None:
    clients = [app.test_client() for _ in range(4)]
    for client in clients:
        client.environ_base.update(web.environ_base)
    with ThreadPoolExecutor(4) as threads:
        for to in RECIPIENTS[:5]:
            answers = list(threads.map(post, clients, [to] * 4))
            assert len({sender_of(answer) for answer in answers}) == 1


@pytest.mark.usefixtures("context")
@pytest.mark.parametrize("kind", [HoldKind.BLOCKED, HoldKind.PAUSED])
def test_held_sender_is_left_out_for_new_recipients(
    web: FlaskClient, pool: list[str], kind: HoldKind
) -> None:
    kept = sender_of(post(web))
    hold(kept, kind)
    new = [to for to in RECIPIENTS[:60] if first_choice(pool, to) == kept]
    assert new
    second = {to: list(ranked(dict.fromkeys(pool, 1.0), to, None))[1] for to in new}
    assert posted(web, new) == second
    assert sender_of(post(web)) == kept


@pytest.mark.usefixtures("context")
def test_message_waits_if_every_sender_is_held(web: FlaskClient, pool: list[str]) -> None:
    for sender in pool:
        hold(sender)
    assert sender_of(post(web)) == first_choice(pool, PERSON)


@pytest.mark.usefixtures("context")
def test_suspected_sender_is_still_chosen(web: FlaskClient, pool: list[str]) -> None:
    hold(first_choice(pool, PERSON), HoldKind.SUSPECTED)
    assert sender_of(post(web)) == first_choice(pool, PERSON)


def test_only_senders_for_the_channel_are_chosen(app: Flask, web: FlaskClient) -> None:
    for sender in (SENDERS[0], f"whatsapp:{SENDERS[1]}"):
        give(app, "billing", sender, "--pool", "spring")
    for to in RECIPIENTS[:10]:
        assert sender_of(post(web, to)) == SENDERS[0]
        assert sender_of(post(web, f"whatsapp:{to}")) == f"whatsapp:{SENDERS[1]}"


def test_sender_that_is_the_recipient_is_left_out(web: FlaskClient, pool: list[str]) -> None:
    for sender in pool:
        assert sender_of(post(web, to=sender)) != sender


def test_pool_can_have_services(app: Flask, web: FlaskClient) -> None:
    give(app, "billing", SERVICE, "--pool", "spring")
    made = post(web)
    assert (made.json["from"], made.json["messaging_service_sid"]) == (None, SERVICE)
    give(app, "billing", SENDERS[0], "--pool", "spring")
    assert sender_of(post(web)) == SERVICE


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"sender": "pool:autumn"}, "from"),
        ({"sender": "pool:"}, "from"),
        ({"sender": "pool:two words"}, "from"),
        ({"to": f"rcs:{PERSON}"}, "from"),
        ({"messaging_service_sid": SERVICE}, "messaging_service_sid"),
        ({"provider": "unknown"}, "provider"),
    ],
)
def test_unusable_pool_is_refused(
    web: FlaskClient, pool: list[str], fields: dict[str, str], field: str
) -> None:
    refused = post(web, **fields)
    assert refused.status_code == 422, refused.json
    assert [error["field"] for error in refused.json["errors"]] == [field]


def test_pool_of_another_client_is_refused(app: Flask, web: FlaskClient, pool: list[str]) -> None:
    other = client_of(app, make_key(app, "marketing"))
    refused = post(other)
    assert refused.status_code == 422
    assert "spring" not in refused.json["errors"][0]["message"].partition(";")[2]


def test_test_key_may_use_the_pool_of_its_counterpart(
    app: Flask, web: FlaskClient, pool: list[str]
) -> None:
    made = app.test_cli_runner().invoke(args=["clients", "create", "billing", "--test"])
    answer = post(client_of(app, made.output.strip()))
    assert (sender_of(answer), answer.json["test"]) == (first_choice(pool, PERSON), True)


def test_pool_works_with_enforced_ownership(
    web: FlaskClient, pool: list[str], configure: Any
) -> None:
    configure(sender_ownership="enforced")
    assert sender_of(post(web)) in pool


def test_repeat_keeps_the_sender_of_the_first_post(
    app: Flask, web: FlaskClient, pool: list[str]
) -> None:
    headers = {"Idempotency-Key": "once"}
    message = {"to": PERSON, "from": "pool:spring", "body": "Hello"}
    first = web.post("/v1/messages", json=message, headers=headers).json
    for sender in pool:
        app.test_cli_runner().invoke(args=["clients", "senders", "remove", "billing", sender])
    again = web.post("/v1/messages", json=message, headers=headers)
    assert (again.status_code, again.json["id"], again.json["from"]) == (
        202,
        first["id"],
        first["from"],
    )


def test_batch_reads_senders_in_three_queries(web: FlaskClient, pool: list[str]) -> None:
    """Of 200 recipients, and none for messages without a pool."""
    with web.application.app_context():
        engine = db.engine
    statements = list[str]()

    def note(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        if statement.startswith("SELECT"):
            statements.append(statement)

    event.listen(engine, "before_cursor_execute", note)
    try:
        posted(web, RECIPIENTS[:200])
        with_pool = len(statements)
        items = [{"to": to, "from": "ACME", "body": "Hello"} for to in RECIPIENTS[:200]]
        web.post("/v1/messages/batch", json={"messages": items})
    finally:
        event.remove(engine, "before_cursor_execute", note)
    assert with_pool - (len(statements) - with_pool) == 3
