"""A paused provider: the next one of the route takes its messages."""

from dataclasses import replace

import pytest
from flask import Flask

from service.config.routes import Route, Target
from service.domain.status import Status
from service.operations import holds, timeline
from service.sending import deliver
from tests.fakes import FakeProvider
from tests.messages import Post
from tests.service.holds.conftest import message


@pytest.fixture
def second(context: Flask, monkeypatch: pytest.MonkeyPatch) -> FakeProvider:
    """Another provider, which takes the messages that twilio cannot send."""
    sinch = FakeProvider(name="sinch")
    bound = context.extensions["waybill"]
    route = Route(prefix="*", targets=(Target(provider="twilio"), Target(provider="sinch")))
    changed = replace(
        bound,
        providers={**bound.providers, "sinch": sinch},
        settings=bound.settings.model_copy(update={"sms_routes": (route,)}),
    )
    monkeypatch.setitem(context.extensions, "waybill", changed)
    return sinch


def test_next_provider_takes_messages_of_a_paused_one(
    post: Post, provider: FakeProvider, second: FakeProvider
) -> None:
    holds.pause("provider", "twilio", "", "ada")
    message_id = post()
    deliver.deliver()
    assert provider.on_air == []
    assert len(second.on_air) == 1
    assert (message(message_id).provider, message(message_id).hold_id) == ("sinch", None)
    assert any("moved from twilio to sinch" in line for line in timeline.explain(message_id))


def test_message_waits_while_every_provider_is_paused(
    post: Post, provider: FakeProvider, second: FakeProvider
) -> None:
    first = holds.pause("provider", "twilio", "", "ada")
    holds.pause("provider", "sinch", "", "ada")
    message_id = post()
    deliver.deliver()
    assert message(message_id).hold_id == first.id
    holds.resume("provider", "twilio", "ada")
    deliver.deliver()
    assert message(message_id).status is Status.QUEUED
    assert len(provider.on_air) == 1
