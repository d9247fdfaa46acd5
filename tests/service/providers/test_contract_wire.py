"""The contract of a provider's calls, over HTTP to the simulator."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import pytest

from service.domain.report import Source
from service.domain.scope import Scope
from service.domain.status import Status
from service.errors import Blocked, NotAccepted, OutcomeUnknown, Refused
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
    settings = {
        **SINCH,
        "TWILIO_API_BASE_URL": carrier.url,
        "TWILIO_READ_TIMEOUT": "0.3",
        "SINCH_API_BASE_URL": carrier.url,
        "SINCH_READ_TIMEOUT": "0.3",
        **changes,
    }
    return configured(make_settings("sqlite:///unused.db", "redis://unused", **settings))[name]


@pytest.fixture(params=[*REAL, "fake"])
def provider(request: pytest.FixtureRequest, carrier: Running) -> Provider:
    return FakeProvider() if request.param == "fake" else made(request.param, carrier)


@pytest.fixture(params=REAL)
def real(request: pytest.FixtureRequest, carrier: Running) -> Provider:
    return made(request.param, carrier)


def outbound() -> Outbound:
    return replace(PLAIN, attempt_id=uuid4())


def look_up(attempt_id: UUID) -> LookUpQuery:
    now = datetime.now(UTC)
    minute = timedelta(minutes=1)
    return LookUpQuery(
        attempt_id, PLAIN.to, PLAIN.sender, None, PLAIN.body, now - minute, now + minute
    )


def test_send_returns_the_attempt_and_the_provider_id(provider: Provider) -> None:
    sent = outbound()

    report = provider.accounts["default"].send(sent)

    assert (report.provider, report.source) == (provider.name, Source.API)
    assert report.attempt_id == sent.attempt_id
    assert report.provider_sid
    assert report.status is not None
    assert report.status.rank <= Status.SENT.rank


def test_sent_message_is_found(provider: Provider) -> None:
    sent = outbound()
    report = provider.accounts["default"].send(sent)

    [found] = provider.accounts["default"].find(look_up(sent.attempt_id))

    assert found.provider_sid == report.provider_sid
    assert found.attempt_id in (None, sent.attempt_id)
    assert found.source is Source.RECONCILIATION


def test_threads_that_share_a_provider_get_their_own_answer(real: Provider) -> None:
    sends = [outbound() for _ in range(40)]

    with ThreadPoolExecutor(8) as lines:
        reports = list(lines.map(real.accounts["default"].send, sends))

    assert [report.attempt_id for report in reports] == [send.attempt_id for send in sends]
    assert len({report.provider_sid for report in reports}) == len(sends)


def test_nothing_is_found_if_nothing_was_sent(provider: Provider) -> None:
    assert provider.accounts["default"].find(look_up(uuid4())) == []


def test_look_up_by_our_id_finds_one_of_two_equal_messages(real: Provider) -> None:
    first, second = outbound(), outbound()
    sids = [real.accounts["default"].send(message).provider_sid for message in (first, second)]

    reports = real.accounts["default"].find(look_up(second.attempt_id))

    certain = [report for report in reports if report.attempt_id is not None]
    assert {report.provider_sid for report in reports} in ({*sids}, {sids[1]})
    assert [report.provider_sid for report in certain] in ([], [sids[1]])


def test_message_is_fetched_by_its_id(real: Provider, carrier: Running) -> None:
    sent = outbound()
    sid = real.accounts["default"].send(sent).provider_sid
    assert sid is not None
    carrier.wait_until_idle()

    report = real.accounts["default"].fetch(sent.attempt_id, sid)

    assert (report.status, report.attempt_id) == (Status.DELIVERED, sent.attempt_id)
    assert (report.provider_sid, report.source) == (sid, Source.RECONCILIATION)


def test_entered_sid_is_confirmed(real: Provider, carrier: Running) -> None:
    sent = outbound()
    sid = real.accounts["default"].send(sent).provider_sid
    assert sid is not None
    carrier.wait_until_idle()

    report = real.accounts["default"].confirm(look_up(sent.attempt_id), sid)

    assert (report.provider_sid, report.attempt_id) == (sid, sent.attempt_id)
    assert (report.status, report.source) == (Status.DELIVERED, Source.RECONCILIATION)


def test_entered_sid_of_another_recipient_is_refused(real: Provider) -> None:
    other = replace(outbound(), to="+14155552672")
    sid = real.accounts["default"].send(other).provider_sid
    assert sid is not None

    with pytest.raises(Refused, match=f"{sid} is another message: different .*recipient"):
        real.accounts["default"].confirm(look_up(uuid4()), sid)


def test_entered_sid_with_another_reference_is_refused(carrier: Running) -> None:
    sinch = made("sinch", carrier).accounts["default"]
    sid = sinch.send(outbound()).provider_sid
    assert sid is not None

    with pytest.raises(Refused, match="different reference"):
        sinch.confirm(look_up(uuid4()), sid)


def test_unknown_message_is_refused(provider: Provider) -> None:
    with pytest.raises(Refused):
        provider.accounts["default"].fetch(uuid4(), "SM" + "0" * 32)


def test_scheduled_message_can_be_canceled(provider: Provider) -> None:
    later = datetime.now(UTC) + timedelta(hours=2)
    service = "MG" + "0" * 32 if provider.name == "twilio" else None
    held = replace(outbound(), send_at=later, messaging_service_sid=service)
    assert provider.can_schedule(service, 7200.0)
    report = provider.accounts["default"].send(held)
    assert report.status is Status.SCHEDULED
    assert report.provider_sid is not None

    canceled = provider.accounts["default"].cancel(held.attempt_id, report.provider_sid)

    assert (canceled.status, canceled.attempt_id) == (Status.CANCELED, held.attempt_id)
    assert canceled.provider_sid == report.provider_sid


def test_sent_message_cannot_be_canceled(real: Provider, carrier: Running) -> None:
    sent = outbound()
    sid = real.accounts["default"].send(sent).provider_sid
    assert sid is not None
    carrier.wait_until_idle()

    with pytest.raises(Refused):
        real.accounts["default"].cancel(sent.attempt_id, sid)


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
def test_every_end_of_a_send_is_classified(
    real: Provider, carrier: Running, fault: str, error: type[Exception]
) -> None:
    carrier.next_create(fault)
    sent = outbound()

    with pytest.raises(error) as caught:
        real.accounts["default"].send(sent)

    assert type(caught.value) is error
    taken = fault in ("500", "timeout", "cut")
    assert len(carrier.records()["messages"]) == taken
    assert len(real.accounts["default"].find(look_up(sent.attempt_id))) == taken


@pytest.mark.parametrize("name", REAL)
def test_retry_after_of_a_429_is_passed_on(name: str) -> None:
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
            made(name, carrier).accounts["default"].send(outbound())
    assert caught.value.retry_after == 90.0


def test_refused_send_has_the_code_of_the_provider(real: Provider) -> None:
    with pytest.raises(Refused) as caught:
        real.accounts["default"].send(replace(outbound(), body="x" * 2000))

    assert caught.value.code
    assert real.explain(caught.value.code).explanation


@pytest.mark.parametrize("name", REAL)
def test_wrong_token_blocks_the_account(name: str, carrier: Running) -> None:
    stranger = made(name, carrier, TWILIO_AUTH_TOKEN="wrong", SINCH_API_TOKEN="wrong")

    with pytest.raises(Blocked) as caught:
        stranger.accounts["default"].send(outbound())
    assert caught.value.scope is Scope.ACCOUNT
    assert carrier.records()["messages"] == []
