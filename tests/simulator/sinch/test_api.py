"""The batches of a service plan, as a client of Sinch's meets them."""

from datetime import UTC, datetime, timedelta

import pytest
import requests


def test_a_batch_is_answered_with_what_was_asked_and_an_id(plan):
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
def test_a_batch_that_is_not_as_it_should_be_is_refused_with_a_code(plan, changes):
    answer = plan.send(**changes)
    assert answer.status_code == 400
    assert answer.json()["code"] == "syntax_invalid_parameter_format"
    assert plan.simulator.books()["messages"] == []


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"[" * 50_000])
def test_what_is_no_json_object_is_refused(plan, body):
    answer = plan.call("POST", data=body)
    assert (answer.status_code, answer.json()["code"]) == (400, "syntax_invalid_json")


def test_a_batch_is_listed_by_the_clients_reference(plan):
    wanted = [plan.send(client_reference="mine").json()["id"] for _ in range(3)]
    plan.send(client_reference="another")
    listed = plan.call("GET", params={"client_reference": "mine", "page_size": 2}).json()
    rest = plan.call("GET", params={"client_reference": "mine", "page_size": 2, "page": 1}).json()
    assert listed["count"] == 3
    assert [one["id"] for one in listed["batches"] + rest["batches"]] == wanted[::-1]
    assert plan.call("GET", params={"client_reference": "nobody's"}).json()["batches"] == []


def test_a_batch_can_be_fetched_and_an_unknown_one_cannot(plan):
    batch = plan.send().json()
    assert plan.call("GET", f"/{batch['id']}").json()["id"] == batch["id"]
    answer = plan.call("GET", "/01NONE")
    assert (answer.status_code, answer.json()["code"]) == (404, "not_found")


def test_a_delivery_report_says_how_a_batch_fares(plan):
    batch = plan.send().json()
    plan.simulator.wait_until_idle()
    report = plan.call("GET", f"/{batch['id']}/delivery_report", params={"type": "full"}).json()
    assert (report["type"], report["total_message_count"]) == ("delivery_report_sms", 1)
    [group] = report["statuses"]
    assert (group["status"], group["code"], group["count"]) == ("Delivered", 0, 1)


def test_a_scheduled_batch_waits_and_can_be_canceled_once(plan, webhook):
    later = (datetime.now(UTC) + timedelta(hours=1)).isoformat()
    batch = plan.reported(webhook, send_at=later)
    assert webhook.received == []
    assert plan.call("DELETE", f"/{batch['id']}").json()["canceled"] is True
    plan.simulator.wait_until_idle()
    assert [one.json["status"] for one in webhook.received] == ["Cancelled"]
    again = plan.call("DELETE", f"/{batch['id']}")
    assert (again.status_code, again.json()["code"]) == (400, "syntax_constraint_violation")


def test_a_time_that_is_over_means_at_once(plan):
    batch = plan.send(send_at="2020-01-01T00:00:00Z").json()
    plan.simulator.wait_until_idle()
    assert plan.simulator.message(batch["id"])["status"] == "delivered"


@pytest.mark.parametrize(
    ("fault", "status", "taken"),
    [("429", 429, 0), ("500-unprocessed", 500, 0), ("503", 503, 0), ("500", 500, 1)],
)
def test_a_fault_answers_as_sinch_would(plan, fault, status, taken):
    plan.simulator.next_create(fault)
    assert plan.send().status_code == status
    assert len(plan.simulator.books()["messages"]) == taken


@pytest.mark.parametrize(("fault", "taken"), [("cut", 1), ("cut-before", 0)])
def test_a_cut_connection_is_no_answer(plan, fault, taken):
    plan.simulator.next_create(fault)
    with pytest.raises(requests.ConnectionError):
        plan.send()
    assert len(plan.simulator.books()["messages"]) == taken


def test_neither_api_shows_the_messages_of_the_other(plan, client):
    theirs = plan.send().json()["id"]
    ours = client.messages.create(to="+14155552671", from_="+15005550006", body="x").sid
    assert [one.sid for one in client.messages.list(to="+14155552671")] == [ours]
    assert [one["id"] for one in plan.call("GET").json()["batches"]] == [theirs]
    assert plan.call("GET", f"/{ours}").status_code == 404
    books = plan.simulator.books()["messages"]
    assert {one["sid"]: one["provider"] for one in books} == {theirs: "sinch", ours: "twilio"}


def test_the_same_number_of_the_story_ends_the_same_way_on_either_wire(start, plan_of, client_of):
    fates = {"delivered": 1, "failed-30007": 1, "undelivered-30003": 1}
    ends = []
    for send in ("sinch", "twilio"):
        simulator = start(fates=fates, seed=3)
        for _ in range(6):
            if send == "sinch":
                plan_of(simulator).send()
            else:
                client = client_of(simulator)
                client.messages.create(to="+14155552671", from_="+15005550006", body="x")
        simulator.wait_until_idle()
        ends.append([one["status"] for one in simulator.books()["messages"]])
    assert ends[0] == ends[1]
    assert len(set(ends[0])) > 1
