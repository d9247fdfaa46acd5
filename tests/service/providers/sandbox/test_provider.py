"""What the provider of test keys says, and what it stores as callbacks, by the number alone."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from service.domain.report import Source
from service.domain.status import Status
from service.errors import Forged, NotAccepted, OutcomeUnknown, Refused
from service.providers.base import Callback, CallbackRequest, LookUpQuery, Outbound
from service.providers.sandbox import Sandbox
from service.providers.sandbox.numbers import RECIPIENTS, SENDERS
from service.providers.twilio.errors import ERRORS

ATTEMPT = UUID("0198d1c5-0000-7000-8000-000000000001")
OTHER = UUID("0198d1c5-0000-7000-8000-000000000002")
NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
CODES = {one.code for one in (*RECIPIENTS.values(), *SENDERS.values()) if one.code}


@pytest.fixture
def stored() -> list[Callback]:
    return []


@pytest.fixture
def provider(stored: list[Callback]) -> Sandbox:
    return Sandbox(stored.append)


def outbound(to: str, *, sender: str | None = "+15005550006", attempt: int = 1) -> Outbound:
    return Outbound(
        attempt_id=ATTEMPT,
        attempt=attempt,
        to=to,
        sender=sender,
        messaging_service_sid=None,
        body="Hello",
        media_urls=None,
        content_sid=None,
        content_variables=None,
        send_at=None,
        validity_period=None,
    )


def wanted(to: str) -> LookUpQuery:
    return LookUpQuery(
        attempt_id=ATTEMPT,
        to=to,
        sender=None,
        messaging_service_sid=None,
        body="Hello",
        since=NOW,
        until=NOW + timedelta(minutes=1),
    )


def words(provider: Sandbox, stored: list[Callback]) -> list[tuple[Status | None, str | None]]:
    reports = [provider.parse(callback) for callback in stored]
    return [(report.status, report.error_code) for report in reports]


def test_any_number_is_delivered_to_nobody(provider: Sandbox, stored: list[Callback]) -> None:
    report = provider.send(outbound("+14155552671"))
    assert (report.provider, report.status, report.attempt_id) == (
        "sandbox",
        Status.QUEUED,
        ATTEMPT,
    )
    assert words(provider, stored) == [(Status.SENT, None), (Status.DELIVERED, None)]
    told = [provider.parse(callback) for callback in stored]
    assert {(one.provider, one.provider_sid, one.attempt_id) for one in told} == {
        ("sandbox", report.provider_sid, ATTEMPT)
    }


@pytest.mark.parametrize(
    ("to", "said"),
    [
        ("+15005550103", [(Status.SENT, None), (Status.UNDELIVERED, "30003")]),
        ("+15005550111", [(Status.FAILED, "30001")]),
        ("+15005550140", []),
        (
            "+15005550160",
            [(Status.SENT, None), (Status.UNDELIVERED, "30008"), (Status.DELIVERED, None)],
        ),
    ],
)
def test_a_failure_carries_its_code_and_nothing_else_does(
    provider: Sandbox, stored: list[Callback], to: str, said: list[tuple[Status, str | None]]
) -> None:
    provider.send(outbound(to))
    assert words(provider, stored) == said


@pytest.mark.parametrize(
    ("to", "sender", "code"),
    [
        ("+15005550001", "+15005550006", "21211"),
        ("+15005550004", "+15005550006", "21610"),
        ("+15005550004", "+15005550001", "21610"),  # Twilio looks at the recipient first
        ("+14155552671", "+15005550001", "21212"),
        ("whatsapp:+15005550009", "whatsapp:+15005550006", "21614"),
    ],
)
def test_the_numbers_that_twilio_refuses_are_refused_with_its_codes(
    provider: Sandbox, stored: list[Callback], to: str, sender: str, code: str
) -> None:
    with pytest.raises(Refused) as caught:
        provider.send(outbound(to, sender=sender))
    assert caught.value.code == code
    assert stored == []


def test_what_is_not_accepted_once_is_taken_the_second_time(provider: Sandbox) -> None:
    with pytest.raises(NotAccepted):
        provider.send(outbound("+15005550120"))
    assert provider.send(outbound("+15005550120", attempt=2)).status is Status.QUEUED


def test_a_lost_answer_is_found_where_the_number_says_so(provider: Sandbox) -> None:
    for to in ("+15005550130", "+15005550131"):
        with pytest.raises(OutcomeUnknown):
            provider.send(outbound(to))
    [found] = provider.find(wanted("+15005550130"))
    assert (found.status, found.attempt_id) == (Status.DELIVERED, ATTEMPT)
    assert provider.find(wanted("+15005550131")) == []


def test_what_is_asked_later_is_told_by_the_id_alone(provider: Sandbox) -> None:
    sid = provider.send(outbound("+15005550103")).provider_sid
    assert sid is not None
    fetched = Sandbox(lambda _: None).fetch(ATTEMPT, sid)
    assert (fetched.status, fetched.error_code) == (Status.UNDELIVERED, "30003")
    assert fetched.source is Source.RECONCILIATION


@pytest.mark.parametrize("sid", ["", "SM1", "test-15005550100", f"test-1-{OTHER.hex}", "test--"])
def test_an_id_that_is_none_of_its_own_is_not_known(provider: Sandbox, sid: str) -> None:
    with pytest.raises(Refused):
        provider.fetch(ATTEMPT, sid)


def test_nobody_calls_it_back_over_the_network(provider: Sandbox) -> None:
    with pytest.raises(Forged):
        provider.verify(CallbackRequest("/callbacks/sandbox", "", {"x-twilio-signature": "x"}, b""))


@pytest.mark.parametrize("code", sorted(CODES))
def test_every_code_it_uses_is_one_that_is_explained(code: str) -> None:
    assert code in ERRORS


@pytest.mark.parametrize("to", ["+15005550100", "rcs:" + "7" * 250, "whatsapp:nobody"])
def test_an_id_fits_its_column_and_is_understood_whatever_the_address(
    provider: Sandbox, to: str
) -> None:
    sid = provider.send(outbound(to)).provider_sid
    assert sid is not None
    assert len(sid) <= 64
    assert provider.fetch(ATTEMPT, sid).status is Status.DELIVERED
