"""The batches API, used by a client."""

from datetime import UTC, datetime, timedelta

import pytest
import requests


def test_create_batch_returns_the_batch_and_an_id(plan):
    answer = plan.send(client_reference="order 7")
    batch = answer.json()
    assert answer.status_code == 201
    assert len(batch["id"]) == 26
    assert (batch["to"], batch["body"], batch["canceled"]) == (["14155552671"], "Hello", False)
    assert batch["client_reference"] == "order 7"


@pytest.mark.parametrize("token", ["", "wrong"])
def test_another_token_is_unauthorized(simulator, plan_of, token):
    assert plan_of(simulator, token=token or "none").send().status_code == 401


def test_another_plan_is_unauthorized(plan):
    url = plan.url.replace(plan.simulator.config.sinch_plan, "another")
    assert requests.get(url, headers=plan.headers, timeout=10).status_code == 401


@pytest.mark.parametrize(
    "changes",
    [
        {"to": []},
        {"to": ["+14155552671", "+14155552672"]},
        {"to": "+14155552671"},
        {"to": ["hello"]},
        {"from": ""},
        {"body": None},
        {"body": "x" * 1601},
        {"type": "mt_binary"},
        {"delivery_report": "always"},
        {"callback_url": "ftp://example.com"},
        {"client_reference": "x" * 129},
        {"send_at": "tomorrow"},
        {"send_at": "2099-01-01T00:00:00"},
    ],
)
def test_invalid_batch_is_rejected_with_a_code(plan, changes):
    answer = plan.send(**changes)
    assert answer.status_code == 400
    assert answer.json()["code"] == "syntax_invalid_parameter_format"
    assert plan.simulator.records()["messages"] == []


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"[" * 50_000])
def test_body_that_is_no_json_object_is_rejected(plan, body):
    answer = plan.call("POST", data=body)
    assert (answer.status_code, answer.json()["code"]) == (400, "syntax_invalid_json")


def test_batches_are_listed_by_client_reference(plan):
    batch_ids = [plan.send(client_reference="mine").json()["id"] for _ in range(3)]
    plan.send(client_reference="another")
    page_1 = plan.call("GET", params={"client_reference": "mine", "page_size": 2}).json()
    page_2 = plan.call("GET", params={"client_reference": "mine", "page_size": 2, "page": 1}).json()
    assert page_1["count"] == 3
    assert [batch["id"] for batch in page_1["batches"] + page_2["batches"]] == batch_ids[::-1]
    assert plan.call("GET", params={"client_reference": "unknown"}).json()["batches"] == []


def test_fetch_returns_a_batch_or_not_found(plan):
    batch = plan.send().json()
    assert plan.call("GET", f"/{batch['id']}").json()["id"] == batch["id"]
    answer = plan.call("GET", "/01NONE")
    assert (answer.status_code, answer.json()["code"]) == (404, "not_found")


def test_delivery_report_shows_the_status_of_a_batch(plan):
    batch = plan.send().json()
    plan.simulator.wait_until_idle()
    report = plan.call("GET", f"/{batch['id']}/delivery_report", params={"type": "full"}).json()
    assert (report["type"], report["total_message_count"]) == ("delivery_report_sms", 1)
    [group] = report["statuses"]
    assert (group["status"], group["code"], group["count"]) == ("Delivered", 0, 1)


def test_scheduled_batch_can_be_canceled_once(plan, webhook):
    later = (datetime.now(UTC) + timedelta(hours=1)).isoformat()
    batch = plan.send_with_callbacks(webhook, send_at=later)
    assert webhook.received == []
    assert plan.call("DELETE", f"/{batch['id']}").json()["canceled"] is True
    plan.simulator.wait_until_idle()
    assert [callback.json["status"] for callback in webhook.received] == ["Cancelled"]
    again = plan.call("DELETE", f"/{batch['id']}")
    assert (again.status_code, again.json()["code"]) == (400, "syntax_constraint_violation")


def test_past_send_at_sends_immediately(plan):
    batch = plan.send(send_at="2020-01-01T00:00:00Z").json()
    plan.simulator.wait_until_idle()
    assert plan.simulator.message(batch["id"])["status"] == "delivered"


@pytest.mark.parametrize(
    ("fault", "status", "created"),
    [("429", 429, 0), ("500-unprocessed", 500, 0), ("503", 503, 0), ("500", 500, 1)],
)
def test_fault_answers_in_sinch_format(plan, fault, status, created):
    plan.simulator.next_create(fault)
    assert plan.send().status_code == status
    assert len(plan.simulator.records()["messages"]) == created


@pytest.mark.parametrize(("fault", "created"), [("cut", 1), ("cut-before", 0)])
def test_cut_connection_gives_no_answer(plan, fault, created):
    plan.simulator.next_create(fault)
    with pytest.raises(requests.ConnectionError):
        plan.send()
    assert len(plan.simulator.records()["messages"]) == created


def test_each_api_shows_only_its_messages(plan, client):
    batch_id = plan.send().json()["id"]
    sid = client.messages.create(to="+14155552671", from_="+15005550006", body="x").sid
    assert [message.sid for message in client.messages.list(to="+14155552671")] == [sid]
    assert [batch["id"] for batch in plan.call("GET").json()["batches"]] == [batch_id]
    assert plan.call("GET", f"/{sid}").status_code == 404
    records = plan.simulator.records()["messages"]
    providers = {record["sid"]: record["provider"] for record in records}
    assert providers == {batch_id: "sinch", sid: "twilio"}


def test_same_seed_gives_the_same_outcomes_in_both_apis(start, plan_of, client_of):
    outcomes = {"delivered": 1, "failed-30007": 1, "undelivered-30003": 1}
    statuses = []
    for provider in ("sinch", "twilio"):
        simulator = start(outcomes=outcomes, seed=3)
        for _ in range(6):
            if provider == "sinch":
                plan_of(simulator).send()
            else:
                client = client_of(simulator)
                client.messages.create(to="+14155552671", from_="+15005550006", body="x")
        simulator.wait_until_idle()
        statuses.append([message["status"] for message in simulator.records()["messages"]])
    assert statuses[0] == statuses[1]
    assert len(set(statuses[0])) > 1
