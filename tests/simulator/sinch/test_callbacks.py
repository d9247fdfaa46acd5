"""Sinch's callbacks: content, signature and retries."""

import json
import time
from pathlib import Path

import pytest

from simulator.sinch.signature import signed_headers

VECTORS = json.loads((Path(__file__).parents[2] / "fixtures/signature-vectors.json").read_text())
SIGNATURE = "x-sinch-webhook-signature"


@pytest.mark.parametrize("vector", VECTORS["sinch_hmac_sha256_body_nonce_timestamp"])
def test_signature_matches_the_official_vectors(vector):
    headers = vector["headers"]
    nonce, timestamp = headers[f"{SIGNATURE}-nonce"], int(headers[f"{SIGNATURE}-timestamp"])
    assert (
        signed_headers(vector["secret"], vector["raw_body"].encode(), nonce, timestamp) == headers
    )


def test_every_status_is_reported_with_client_reference(plan, webhook):
    batch = plan.send_with_callbacks(webhook, client_reference="mine")
    reports = [callback.json for callback in webhook.received]
    assert sorted(report["status"] for report in reports) == ["Delivered", "Dispatched", "Queued"]
    for report in reports:
        assert report["type"] == "recipient_delivery_report_sms"
        assert (report["batch_id"], report["client_reference"]) == (batch["id"], "mine")
        assert report["recipient"].removeprefix("+") == "14155552671"


def test_callback_is_signed_over_its_body(plan, webhook):
    plan.send_with_callbacks(webhook)
    assert len(webhook.received) == 3
    for callback in webhook.received:
        sent = {name.lower(): value for name, value in callback.headers.items()}
        timestamp = int(sent[f"{SIGNATURE}-timestamp"])
        secret, nonce = plan.simulator.config.sinch_secret, sent[f"{SIGNATURE}-nonce"]
        expected = signed_headers(secret, callback.body, nonce, timestamp)
        assert expected.items() <= sent.items()
        assert abs(time.time() - timestamp) < 60


@pytest.mark.parametrize("reports", ["none", "summary"])
def test_no_callbacks_without_per_recipient_reports(plan, webhook, reports):
    plan.send(delivery_report=reports, callback_url=webhook.url)
    plan.simulator.wait_until_idle()
    assert webhook.received == []


def test_failures_are_reported_in_sinch_codes(start, plan_of, webhook):
    failures = {
        "undelivered-30003": ("Expired", 406),
        "undelivered-30005": ("Deleted", 402),
        "failed-30007": ("Aborted", 408),
        "undelivered-1": ("InjectedError", 404),
    }
    for outcome, (status, code) in failures.items():
        webhook.received.clear()
        plan_of(start(outcomes={outcome: 1})).send_with_callbacks(webhook)
        codes = {callback.json["status"]: callback.json["code"] for callback in webhook.received}
        assert codes[status] == code


@pytest.mark.parametrize("status", [500, 503, 429])
def test_retry_has_the_same_body_and_signature(start, plan_of, webhook, status):
    webhook.answer = lambda callback: status if len(webhook.received) < 9 else 204
    simulator = start(sinch_retry_factor=0.002)
    plan_of(simulator).send_with_callbacks(webhook)
    [message] = simulator.records()["messages"]
    assert any(callback["try"] > 1 for callback in message["callbacks"])
    assert simulator.records()["totals"]["callbacks"]["acknowledged"] == 3
    assert len({(callback.body, callback.headers[SIGNATURE]) for callback in webhook.received}) == 3


@pytest.mark.parametrize("status", [403, 404, 413, 302])
def test_other_answers_are_not_retried(start, plan_of, webhook, status):
    webhook.answer = lambda callback: status
    simulator = start(sinch_retry_factor=0.002)
    plan_of(simulator).send_with_callbacks(webhook)
    totals = simulator.records()["totals"]["callbacks"]
    assert (totals["tries"], totals["refused"]) == (3, 3)


def test_failing_callback_is_tried_16_times(start, plan_of, webhook):
    webhook.answer = lambda callback: 503
    simulator = start(outcomes={"failed-30007": 1}, sinch_retry_factor=0.00001)
    plan_of(simulator).send_with_callbacks(webhook)
    [message] = simulator.records()["messages"]
    callbacks = message["callbacks"]
    tries = [callback["try"] for callback in callbacks if callback["status"] == "Aborted"]
    assert tries == [*range(1, 17)]


def test_callback_faults_apply_to_sinch(start, plan_of, webhook):
    simulator = start(faults={"duplicate": 1.0})
    plan_of(simulator).send_with_callbacks(webhook)
    assert len(webhook.received) > 3
    simulator.set_faults({"drop": 1.0})
    received = len(webhook.received)
    plan_of(simulator).send_with_callbacks(webhook)
    assert len(webhook.received) == received
