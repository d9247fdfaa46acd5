"""Inbound messages are counted and logged once they are committed."""

import json
from collections.abc import Iterator

import pytest
from flask import Flask

from service.components import components
from service.inbound import record as module
from service.inbound.record import record
from service.sending import deliver
from tests.counted import counting, samples
from tests.messages import Post
from tests.service.inbound.conversation import PERSON, SENDER, heard
from tests.service.observability.test_events import Lines, lines  # noqa: F401 - a fixture

RECORDED = "waybill_inbound_recorded_total"
UNOWNED = "waybill_inbound_unowned_total"


def test_new_messages_are_counted_by_keyword(context: Flask, post: Post) -> None:
    post()
    deliver.deliver()
    stop = heard("STOP")
    with counting(RECORDED) as recorded, counting(UNOWNED) as unowned:
        record([stop, heard("START"), heard("Hi"), heard("Hi", From="+14155552672")])
        record([stop])

    assert recorded == {("start", "twilio"): 1, ("stop", "twilio"): 1, ("none", "twilio"): 2}
    assert unowned == {("twilio",): 1}


def test_rolled_back_messages_are_not_counted(
    context: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_: object) -> None:
        raise RuntimeError

    monkeypatch.setattr(module, "owe_received", fail)
    with counting(RECORDED) as recorded, pytest.raises(RuntimeError):
        record([heard("STOP")])

    assert recorded == {}


def test_batch_is_logged_without_number_and_text(
    context: Flask, request: pytest.FixtureRequest
) -> None:
    read: Lines = request.getfixturevalue("lines")
    repeat = heard("Where is my parcel?")
    record([repeat, heard("STOP")])
    record([repeat])

    logged = [line for line in read() if line["event"] == "inbound recorded"]
    totals = ("messages", "repeats", "stops", "starts", "unowned")
    assert [[line[name] for name in totals] for line in logged] == [
        [2, 0, 1, 0, 2],
        [0, 1, 0, 0, 0],
    ]
    assert [len(line["message_ids"]) for line in logged] == [2, 0]
    text = json.dumps(logged)
    assert not [part for part in (PERSON, SENDER, "parcel") if part in text]


def test_series_exist_before_the_first_message(app: Flask) -> None:
    """Else increase() of Prometheus misses the first message without an owner."""
    for provider in components_of(app):
        assert (UNOWNED, (("provider", provider),)) in samples()
        assert (RECORDED, (("keyword", "stop"), ("provider", provider))) in samples()


def components_of(app: Flask) -> Iterator[str]:
    with app.app_context():
        yield from components().providers
