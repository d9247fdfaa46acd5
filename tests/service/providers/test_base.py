"""The contract of a provider, checked for the real ones and for the fake of other tests."""

from datetime import UTC, datetime
from uuid import UUID
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.domain.report import Source, StatusReport
from service.domain.status import Status
from service.errors import Forged
from service.providers.base import Callback, CallbackRequest, Inbound, Sender
from service.web.api.schemas import NewMessage
from tests.samples import REAL, SAMPLES, Sample
from tests.service.inbound.conversation import PERSON, SENDER

NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
ATTEMPT = UUID("0198d1c5-0000-7000-8000-000000000001")
OTHER = UUID("0198d1c5-0000-7000-8000-000000000002")
DAY = 86_400.0


@pytest.fixture(scope="module", params=SAMPLES, ids=lambda sample: type(sample).__name__)
def sample(request: pytest.FixtureRequest) -> Sample:
    sample: Sample = request.param
    return sample


def called(
    sample: Sample, word: str, attempt: UUID = ATTEMPT, sid: str = "ID1", at: datetime = NOW
) -> StatusReport:
    body = sample.body(word, attempt, sid)
    return sample.provider.parse(Callback(sample.provider.name, str(attempt), body, at))


def test_every_configured_provider_has_a_sample() -> None:
    assert {name: provider.name for name, provider in REAL.items()} == {name: name for name in REAL}
    assert [sample.provider for sample in SAMPLES][: len(REAL)] == [*REAL.values()]


def test_provider_name_fits_a_path_and_a_column(sample: Sample) -> None:
    name = sample.provider.name
    assert name.isascii()
    assert name.isalnum()
    assert name == name.lower()
    assert len(name) <= 32


@given(
    path=st.text(),
    query=st.text(),
    headers=st.dictionaries(st.text(), st.text()),
    body=st.binary(),
)
def test_unsigned_callback_is_refused_by_every_provider(
    sample: Sample, path: str, query: str, headers: dict[str, str], body: bytes
) -> None:
    with pytest.raises(Forged) as caught:
        sample.provider.verify(CallbackRequest(path, query, headers, body))

    assert caught.value.reason


def test_signed_callback_is_accepted(sample: Sample) -> None:
    body = sample.body(sample.delivered, ATTEMPT, "ID1")

    sample.provider.verify(sample.request(body, ATTEMPT))


def test_signature_over_another_body_is_refused(sample: Sample) -> None:
    """Another genuine body, a changed one, a truncated one, or an empty one."""
    body = sample.body(sample.sent, ATTEMPT, "ID1")
    genuine = sample.request(body, ATTEMPT)
    others = (sample.body(sample.delivered, ATTEMPT, "ID1"), body + b" ", b" " + body, body[:-1])

    for other in (*others, b""):
        with pytest.raises(Forged):
            sample.provider.verify(genuine._replace(body=other))


def test_genuine_body_without_its_signature_is_refused(sample: Sample) -> None:
    genuine = sample.request(sample.body(sample.sent, ATTEMPT, "ID1"), ATTEMPT)

    with pytest.raises(Forged):
        sample.provider.verify(genuine._replace(headers={}))
    for name in genuine.headers:
        with pytest.raises(Forged):
            sample.provider.verify(genuine._replace(headers={**genuine.headers, name: "x"}))


def test_body_at_another_path_does_not_change_the_attempt(
    sample: Sample,
) -> None:
    """Only signed parts of a request may select the attempt."""
    genuine = sample.request(sample.body(sample.sent, ATTEMPT, "ID1"), ATTEMPT)
    moved = genuine._replace(path=f"/callbacks/{sample.provider.name}/{OTHER}")
    try:
        sample.provider.verify(moved)
    except Forged:
        return
    report = sample.provider.parse(Callback(sample.provider.name, str(OTHER), moved.body, NOW))
    assert report.attempt_id == ATTEMPT


@given(attempt=st.text(), body=st.binary().filter(lambda body: body != b"poison"))
def test_parse_never_raises(sample: Sample, attempt: str, body: bytes) -> None:
    report = sample.provider.parse(Callback(sample.provider.name, attempt, body, NOW))

    assert (report.provider, report.source, report.received_at) == (
        sample.provider.name,
        Source.CALLBACK,
        NOW,
    )


def test_callback_names_the_attempt_and_the_provider_id(sample: Sample) -> None:
    report = called(sample, sample.delivered)

    assert (report.attempt_id, report.provider_sid) == (ATTEMPT, "ID1")
    assert report.status is Status.DELIVERED


def test_repeated_callback_has_the_same_identity(sample: Sample) -> None:
    first, second = (called(sample, sample.sent, at=at) for at in (NOW, NOW.replace(hour=13)))

    assert first.identity == second.identity


def test_different_callbacks_have_different_identities(
    sample: Sample,
) -> None:
    reports = [
        called(sample, sample.sent),
        called(sample, sample.delivered),
        called(sample, sample.sent, sid="ID2"),
        called(sample, sample.sent, attempt=OTHER),
    ]

    assert len({report.identity for report in reports}) == len(reports)


def test_words_of_the_provider_have_a_status(sample: Sample) -> None:
    for word, status in sample.words.items():
        assert called(sample, word).status is status
    assert {Status.QUEUED, Status.SENT, Status.DELIVERED, Status.FAILED} <= {*sample.words.values()}


@pytest.mark.parametrize("word", ["teleported", "", "x" * 500, "\x00"])
def test_unknown_word_of_a_provider_is_kept_without_a_status(sample: Sample, word: str) -> None:
    report = called(sample, word)

    assert report.status is None
    assert (report.attempt_id, report.provider_sid) == (ATTEMPT, "ID1")
    assert report.word == word.replace("\x00", "\ufffd")[:64]


def test_message_of_a_person_is_told_from_a_callback(sample: Sample) -> None:
    """By its body alone, also at the address of an attempt."""
    for attempt in ("", str(ATTEMPT)):
        body = sample.inbound("Fine, thanks", "ID1")
        received = sample.provider.parse(Callback(sample.provider.name, attempt, body, NOW))
        assert isinstance(received, Inbound)
        assert (received.provider, received.provider_sid) == (sample.provider.name, "ID1")
        assert (received.from_address, received.to_address) == (PERSON, SENDER)
        assert (received.body, received.received_at) == ("Fine, thanks", NOW)
        assert received.account in sample.provider.accounts


def test_answer_to_a_person_says_nothing(sample: Sample) -> None:
    """Twilio sends other texts than TwiML to the person, and tags with a text, too."""
    status, content_type, body = sample.provider.inbound_answer()
    assert 200 <= status < 300
    assert content_type in (None, "text/xml")
    assert not body or "".join(ElementTree.fromstring(body).itertext()) == ""


def test_every_code_has_an_explanation(sample: Sample) -> None:
    for code in ("", "0", "99999", "waybill_gave_up", "\x00", *sample.codes):
        fact = sample.provider.explain(code)
        assert fact.explanation.endswith(".")
        assert isinstance(fact.retryable, bool)


@pytest.mark.parametrize("service", ["MG1", None])
@pytest.mark.parametrize("seconds", [-DAY, 0.0, 1.0, 35 * DAY + 1])
def test_provider_does_not_schedule_outside_its_window(
    sample: Sample, service: str | None, seconds: float
) -> None:
    assert not sample.provider.can_schedule(service, seconds)


def test_plain_text_is_supported_and_others_are_named(sample: Sample) -> None:
    fields = {field.alias or name for name, field in NewMessage.model_fields.items()}

    assert sample.provider.unsupported_fields("+14155552671", {"to", "body", "reference"}) == []
    assert set(sample.provider.unsupported_fields("whatsapp:+14155552671", fields)) <= fields


def test_default_sender_is_an_address_or_a_service(sample: Sample) -> None:
    sender = sample.provider.accounts["default"].default_sender()

    assert sender is not None
    assert [sender.address, sender.messaging_service_sid].count(None) == 1


def test_provider_owns_only_its_default_sender(sample: Sample) -> None:
    account = sample.provider.accounts["default"]
    default = account.default_sender()

    assert default is not None
    assert account.owns(default)
    for sender in (Sender("+14155550000"), Sender("ACME"), Sender("72345"), Sender()):
        assert not account.owns(sender)
