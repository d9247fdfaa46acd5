"""Sinch's callbacks: what they say, how they are signed, and what is tried again."""

import json
import time
from pathlib import Path

import pytest

from simulator.sinch.signature import signed_headers

VECTORS = json.loads((Path(__file__).parents[2] / "fixtures/signature-vectors.json").read_text())
SIGNATURE = "x-sinch-webhook-signature"


@pytest.mark.parametrize("vector", VECTORS["sinch_hmac_sha256_body_nonce_timestamp"])
def test_the_simulator_signs_as_the_official_vectors_do(vector):
    headers = vector["headers"]
    nonce, timestamp = headers[f"{SIGNATURE}-nonce"], int(headers[f"{SIGNATURE}-timestamp"])
    assert (
        signed_headers(vector["secret"], vector["raw_body"].encode(), nonce, timestamp) == headers
    )


def test_every_status_is_told_with_the_reference_of_the_client(plan, webhook):
    batch = plan.reported(webhook, client_reference="mine")
    reports = [one.json for one in webhook.received]
    assert sorted(one["status"] for one in reports) == ["Delivered", "Dispatched", "Queued"]
    for one in reports:
        assert one["type"] == "recipient_delivery_report_sms"
        assert (one["batch_id"], one["client_reference"]) == (batch["id"], "mine")
        assert one["recipient"].removeprefix("+") == "14155552671"


def test_a_callback_is_signed_over_its_body(plan, webhook):
    plan.reported(webhook)
    for one in webhook.received:
        sent = {name.lower(): value for name, value in one.headers.items()}
        timestamp = int(sent[f"{SIGNATURE}-timestamp"])
        made = signed_headers(
            plan.simulator.config.sinch_secret, one.body, sent[f"{SIGNATURE}-nonce"], timestamp
        )
        assert made.items() <= sent.items()
        assert abs(time.time() - timestamp) < 60


@pytest.mark.parametrize("wanted", ["none", "summary"])
def test_nothing_is_told_per_recipient_to_who_did_not_ask_for_it(plan, webhook, wanted):
    plan.send(delivery_report=wanted, callback_url=webhook.url)
    plan.simulator.wait_until_idle()
    assert webhook.received == []


def test_a_bad_end_is_told_in_sinchs_words(start, plan_of, webhook):
    words = {
        "undelivered-30003": ("Expired", 406),
        "undelivered-30005": ("Deleted", 402),
        "failed-30007": ("Aborted", 408),
        "undelivered-1": ("Failed", 404),
    }
    for fate, (word, code) in words.items():
        webhook.received.clear()
        plan_of(start(fates={fate: 1})).reported(webhook)
        told = {one.json["status"]: one.json["code"] for one in webhook.received}
        assert told[word] == code


@pytest.mark.parametrize("status", [500, 503, 429])
def test_an_answer_that_asks_for_it_is_followed_by_the_same_body_and_signature(
    start, plan_of, webhook, status
):
    webhook.answer = lambda callback: status if len(webhook.received) < 9 else 204
    simulator = start(sinch_retry_factor=0.002)
    plan_of(simulator).reported(webhook)
    [message] = simulator.books()["messages"]
    again = [one for one in message["callbacks"] if one["try"] > 1]
    assert again
    assert simulator.books()["totals"]["callbacks"]["acknowledged"] == 3
    assert len({(one.body, one.headers[SIGNATURE]) for one in webhook.received}) == 3


@pytest.mark.parametrize("status", [403, 404, 413, 302])
def test_any_other_answer_is_final(start, plan_of, webhook, status):
    webhook.answer = lambda callback: status
    simulator = start(sinch_retry_factor=0.002)
    plan_of(simulator).reported(webhook)
    totals = simulator.books()["totals"]["callbacks"]
    assert (totals["tries"], totals["refused"]) == (3, 3)


def test_the_pauses_double_from_five_seconds_times_the_factor(start, plan_of, webhook):
    webhook.answer = lambda callback: 503
    simulator = start(fates={"failed-30007": 1}, sinch_retry_factor=0.00001)
    plan_of(simulator).reported(webhook)
    [message] = simulator.books()["messages"]
    tries = [one["try"] for one in message["callbacks"] if one["status"] == "Aborted"]
    assert tries == [*range(1, 17)]


def test_the_faults_of_callbacks_strike_here_too(start, plan_of, webhook):
    simulator = start(faults={"duplicate": 1.0})
    plan_of(simulator).reported(webhook)
    assert len(webhook.received) > 3
    simulator.set_faults({"drop": 1.0})
    heard = len(webhook.received)
    plan_of(simulator).reported(webhook)
    assert len(webhook.received) == heard
