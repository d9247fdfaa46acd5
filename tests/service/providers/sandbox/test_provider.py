"""The sandbox: the number decides its answers and callbacks."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from service.domain.keywords import Keyword, keyword_in
from service.domain.report import Source
from service.domain.status import Status
from service.errors import Forged, NotAccepted, OutcomeUnknown, Refused
from service.providers.base import Callback, CallbackRequest, Inbound, LookUpQuery, Outbound
from service.providers.sandbox import Sandbox
from service.providers.sandbox.numbers import RECIPIENTS, SENDERS
from service.providers.twilio.errors import ERRORS

ATTEMPT = UUID("0198d1c5-0000-7000-8000-000000000001")
OTHER = UUID("0198d1c5-0000-7000-8000-000000000002")
NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
CODES = {outcome.code for outcome in (*RECIPIENTS.values(), *SENDERS.values()) if outcome.code}


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


def look_up(to: str) -> LookUpQuery:
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


def test_ordinary_number_is_delivered(provider: Sandbox, stored: list[Callback]) -> None:
    report = provider.send(outbound("+14155552671"))
    assert (report.provider, report.status, report.attempt_id) == (
        "sandbox",
        Status.QUEUED,
        ATTEMPT,
    )
    assert words(provider, stored) == [(Status.SENT, None), (Status.DELIVERED, None)]
    reports = [provider.parse(callback) for callback in stored]
    assert {(report.provider, report.provider_sid, report.attempt_id) for report in reports} == {
        ("sandbox", report.provider_sid, ATTEMPT)
    }


@pytest.mark.parametrize(
    ("to", "statuses"),
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
def test_only_failures_have_an_error_code(
    provider: Sandbox, stored: list[Callback], to: str, statuses: list[tuple[Status, str | None]]
) -> None:
    provider.send(outbound(to))
    assert words(provider, stored) == statuses


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
def test_numbers_that_twilio_refuses_get_its_codes(
    provider: Sandbox, stored: list[Callback], to: str, sender: str, code: str
) -> None:
    with pytest.raises(Refused) as caught:
        provider.send(outbound(to, sender=sender))
    assert caught.value.code == code
    assert stored == []


def test_second_attempt_is_accepted(provider: Sandbox) -> None:
    with pytest.raises(NotAccepted):
        provider.send(outbound("+15005550120"))
    assert provider.send(outbound("+15005550120", attempt=2)).status is Status.QUEUED


def test_number_decides_whether_a_lost_send_is_found(provider: Sandbox) -> None:
    for to in ("+15005550130", "+15005550131"):
        with pytest.raises(OutcomeUnknown):
            provider.send(outbound(to))
    [found] = provider.find(look_up("+15005550130"))
    assert (found.status, found.attempt_id) == (Status.DELIVERED, ATTEMPT)
    assert provider.find(look_up("+15005550131")) == []


@pytest.mark.parametrize(
    ("to", "text", "keyword"),
    [
        ("+15005550170", "STOP", Keyword.STOP),
        ("whatsapp:+15005550171", "START", Keyword.START),
        ("+15005550172", "Thank you!", None),
    ],
)
def test_recipient_writes_back(
    provider: Sandbox, stored: list[Callback], to: str, text: str, keyword: Keyword | None
) -> None:
    sent = provider.send(outbound(to))
    reply = provider.parse(stored[-1])
    assert isinstance(reply, Inbound)
    assert (reply.provider, reply.from_address, reply.to_address) == (
        "sandbox",
        to,
        "+15005550006",
    )
    assert (reply.body, keyword_in(reply.body)) == (text, keyword)
    assert reply.reply_to_attempt == ATTEMPT
    assert reply.provider_sid not in ("", sent.provider_sid)
    assert len(stored) == 3, "after sent and delivered"


def test_fetch_needs_only_the_id(provider: Sandbox) -> None:
    sid = provider.send(outbound("+15005550103")).provider_sid
    assert sid is not None
    fetched = Sandbox(lambda _: None).fetch(ATTEMPT, sid)
    assert (fetched.status, fetched.error_code) == (Status.UNDELIVERED, "30003")
    assert fetched.source is Source.RECONCILIATION


@pytest.mark.parametrize("sid", ["", "SM1", "test-15005550100", f"test-1-{OTHER.hex}", "test--"])
def test_id_of_another_provider_is_unknown(provider: Sandbox, sid: str) -> None:
    with pytest.raises(Refused):
        provider.fetch(ATTEMPT, sid)


def test_callback_over_the_network_is_refused(provider: Sandbox) -> None:
    with pytest.raises(Forged):
        provider.verify(CallbackRequest("/callbacks/sandbox", "", {"x-twilio-signature": "x"}, b""))


@pytest.mark.parametrize("code", sorted(CODES))
def test_every_code_of_the_sandbox_is_explained(code: str) -> None:
    assert code in ERRORS


@pytest.mark.parametrize("to", ["+15005550100", "rcs:" + "7" * 250, "whatsapp:nobody"])
def test_id_fits_its_column_for_any_address(provider: Sandbox, to: str) -> None:
    sid = provider.send(outbound(to)).provider_sid
    assert sid is not None
    assert len(sid) <= 64
    assert provider.fetch(ATTEMPT, sid).status is Status.DELIVERED
