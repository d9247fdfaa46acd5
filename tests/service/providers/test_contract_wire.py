"""What every provider keeps over the wire: the calls, and what each end of one means."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import pytest

from service.domain.report import Source
from service.domain.status import Status
from service.errors import NotAccepted, OutcomeUnknown, Refused
from service.providers import configured
from service.providers.base import LookUpQuery, Outbound, Provider
from simulator.config import Config
from simulator.running import Running, running
from tests.conftest import ACCOUNT, SINCH, TOKEN, make_settings
from tests.fakes import FakeProvider

PLAIN = Outbound(uuid4(), 1, "+14155552671", "+15005550006", None, "Hello", *[None] * 5)
REAL = ("twilio", "sinch")


@pytest.fixture
def carrier() -> Iterator[Running]:
    config = Config(
        account_sid=ACCOUNT,
        auth_token=TOKEN,
        sinch_plan=SINCH["SINCH_SERVICE_PLAN_ID"],
        sinch_token=SINCH["SINCH_API_TOKEN"],
        faults={"drop": 1.0},
        outcomes={"delivered": 1.0},
        pace=0.2,
    )
    with running(config) as simulator:
        yield simulator


def made(name: str, carrier: Running, **changes: str) -> Provider:
    given = {
        **SINCH,
        "TWILIO_API_BASE_URL": carrier.url,
        "TWILIO_READ_TIMEOUT": "0.3",
        "SINCH_API_BASE_URL": carrier.url,
        "SINCH_READ_TIMEOUT": "0.3",
        **changes,
    }
    return configured(make_settings("sqlite:///unused.db", "redis://unused", **given))[name]


@pytest.fixture(params=[*REAL, "fake"])
def provider(request: pytest.FixtureRequest, carrier: Running) -> Provider:
    return FakeProvider() if request.param == "fake" else made(request.param, carrier)


@pytest.fixture(params=REAL)
def real(request: pytest.FixtureRequest, carrier: Running) -> Provider:
    return made(request.param, carrier)


def outbound() -> Outbound:
    return replace(PLAIN, attempt_id=uuid4())


def wanted(attempt_id: UUID) -> LookUpQuery:
    now = datetime.now(UTC)
    minute = timedelta(minutes=1)
    return LookUpQuery(
        attempt_id, PLAIN.to, PLAIN.sender, None, PLAIN.body, now - minute, now + minute
    )


def test_a_send_says_whose_it_is_and_under_which_id(provider: Provider) -> None:
    sent = outbound()

    report = provider.send(sent)

    assert (report.provider, report.source) == (provider.name, Source.API)
    assert report.attempt_id == sent.attempt_id
    assert report.provider_sid
    assert report.status is not None
    assert report.status.rank <= Status.SENT.rank


def test_a_send_is_found_again(provider: Provider) -> None:
    sent = outbound()
    report = provider.send(sent)

    [found] = provider.find(wanted(sent.attempt_id))

    assert found.provider_sid == report.provider_sid
    assert found.attempt_id in (None, sent.attempt_id)
    assert found.source is Source.RECONCILIATION


def test_threads_that_share_a_provider_get_each_its_own_answer(real: Provider) -> None:
    sends = [outbound() for _ in range(40)]

    with ThreadPoolExecutor(8) as lines:
        reports = list(lines.map(real.send, sends))

    assert [one.attempt_id for one in reports] == [one.attempt_id for one in sends]
    assert len({one.provider_sid for one in reports}) == len(sends)


def test_nothing_is_found_where_nothing_was_sent(provider: Provider) -> None:
    assert provider.find(wanted(uuid4())) == []


def test_who_knows_our_id_finds_one_of_two_that_look_the_same(real: Provider) -> None:
    first, second = outbound(), outbound()
    sids = [real.send(one).provider_sid for one in (first, second)]

    found = real.find(wanted(second.attempt_id))

    certain = [one for one in found if one.attempt_id is not None]
    assert {one.provider_sid for one in found} in ({*sids}, {sids[1]})
    assert [one.provider_sid for one in certain] in ([], [sids[1]])


def test_a_message_is_asked_for_by_the_id_it_was_given(real: Provider, carrier: Running) -> None:
    sent = outbound()
    sid = real.send(sent).provider_sid
    assert sid is not None
    carrier.wait_until_idle()

    report = real.fetch(sent.attempt_id, sid)

    assert (report.status, report.attempt_id) == (Status.DELIVERED, sent.attempt_id)
    assert (report.provider_sid, report.source) == (sid, Source.RECONCILIATION)


def test_a_named_sid_is_confirmed(real: Provider, carrier: Running) -> None:
    sent = outbound()
    sid = real.send(sent).provider_sid
    assert sid is not None
    carrier.wait_until_idle()

    report = real.confirm(wanted(sent.attempt_id), sid)

    assert (report.provider_sid, report.attempt_id) == (sid, sent.attempt_id)
    assert (report.status, report.source) == (Status.DELIVERED, Source.RECONCILIATION)


def test_a_named_sid_of_another_recipient_is_refused(real: Provider) -> None:
    other = replace(outbound(), to="+14155552672")
    sid = real.send(other).provider_sid
    assert sid is not None

    with pytest.raises(Refused, match=f"{sid} is another message: different .*recipient"):
        real.confirm(wanted(uuid4()), sid)


def test_a_named_sid_under_another_reference_is_refused(carrier: Running) -> None:
    sinch = made("sinch", carrier)
    sid = sinch.send(outbound()).provider_sid
    assert sid is not None

    with pytest.raises(Refused, match="different reference"):
        sinch.confirm(wanted(uuid4()), sid)


def test_a_message_that_is_not_known_is_refused(provider: Provider) -> None:
    with pytest.raises(Refused):
        provider.fetch(uuid4(), "SM" + "0" * 32)


def test_a_message_that_is_held_can_be_canceled(provider: Provider) -> None:
    later = datetime.now(UTC) + timedelta(hours=2)
    service = "MG" + "0" * 32 if provider.name == "twilio" else None
    held = replace(outbound(), send_at=later, messaging_service_sid=service)
    assert provider.can_schedule(service, 7200.0)
    report = provider.send(held)
    assert report.status is Status.SCHEDULED
    assert report.provider_sid is not None

    canceled = provider.cancel(held.attempt_id, report.provider_sid)

    assert (canceled.status, canceled.attempt_id) == (Status.CANCELED, held.attempt_id)
    assert canceled.provider_sid == report.provider_sid


def test_a_message_that_is_on_its_way_cannot_be_canceled(real: Provider, carrier: Running) -> None:
    sent = outbound()
    sid = real.send(sent).provider_sid
    assert sid is not None
    carrier.wait_until_idle()

    with pytest.raises(Refused):
        real.cancel(sent.attempt_id, sid)


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        ("429", NotAccepted),
        ("500", OutcomeUnknown),
        ("500-unprocessed", OutcomeUnknown),
        ("503", OutcomeUnknown),
        ("timeout", OutcomeUnknown),
        ("cut", OutcomeUnknown),
        ("cut-before", OutcomeUnknown),
    ],
)
def test_every_way_a_send_can_end_is_classed_by_what_may_have_happened(
    real: Provider, carrier: Running, fault: str, error: type[Exception]
) -> None:
    carrier.next_create(fault)
    sent = outbound()

    with pytest.raises(error) as caught:
        real.send(sent)

    assert type(caught.value) is error
    taken = fault in ("500", "timeout", "cut")
    assert len(carrier.records()["messages"]) == taken
    assert len(real.find(wanted(sent.attempt_id))) == taken


@pytest.mark.parametrize("name", REAL)
def test_the_pause_that_a_429_asks_for_is_passed_on(name: str) -> None:
    config = Config(
        account_sid=ACCOUNT,
        auth_token=TOKEN,
        sinch_plan=SINCH["SINCH_SERVICE_PLAN_ID"],
        sinch_token=SINCH["SINCH_API_TOKEN"],
        retry_after=90,
    )
    with running(config) as carrier:
        carrier.next_create("429")
        with pytest.raises(NotAccepted) as caught:
            made(name, carrier).send(outbound())
    assert caught.value.retry_after == 90.0


def test_a_send_that_the_provider_refuses_is_final_and_has_its_code(real: Provider) -> None:
    with pytest.raises(Refused) as caught:
        real.send(replace(outbound(), body="x" * 2000))

    assert caught.value.code
    assert real.explain(caught.value.code).explanation


@pytest.mark.parametrize("name", REAL)
def test_a_token_that_is_wrong_can_be_mended_while_the_message_waits(
    name: str, carrier: Running
) -> None:
    stranger = made(name, carrier, TWILIO_AUTH_TOKEN="wrong", SINCH_API_TOKEN="wrong")

    with pytest.raises(NotAccepted):
        stranger.send(outbound())
    assert carrier.records()["messages"] == []
