"""What every provider keeps, the real one and the one the other tests run with."""

from datetime import UTC, datetime
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.domain.report import Source
from service.domain.status import Status
from service.errors import Forged
from service.providers import configured
from service.providers.contract import Callback, CallbackRequest, Provider
from service.providers.test import MagicNumbers
from service.providers.twilio.errors import ERRORS
from tests.conftest import make_settings
from tests.fakes import FakeProvider

NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
ATTEMPT = UUID("0198d1c5-0000-7000-8000-000000000001")
DAY = 86_400.0

REAL = configured(make_settings("sqlite:///unused.db", "redis://unused"))


@pytest.fixture(
    scope="module",
    params=[*REAL.values(), MagicNumbers(lambda _: None), FakeProvider()],
    ids=lambda one: type(one).__name__,
)
def provider(request: pytest.FixtureRequest) -> Provider:
    one: Provider = request.param
    return one


def test_every_configured_provider_is_found_under_its_own_name() -> None:
    assert {name: one.name for name, one in REAL.items()} == {"twilio": "twilio"}


def test_its_name_fits_a_path_and_a_column(provider: Provider) -> None:
    assert provider.name.isascii()
    assert provider.name.isalnum()
    assert provider.name == provider.name.lower()
    assert len(provider.name) <= 32


@given(
    path=st.text(),
    query=st.text(),
    headers=st.dictionaries(st.text(), st.text()),
    body=st.binary(),
)
def test_it_refuses_what_nobody_signed(
    provider: Provider, path: str, query: str, headers: dict[str, str], body: bytes
) -> None:
    with pytest.raises(Forged) as caught:
        provider.verify(CallbackRequest(path, query, headers, body))

    assert caught.value.reason


@given(attempt=st.text(), body=st.binary().filter(lambda body: body != b"poison"))
def test_it_understands_any_body_without_raising(
    provider: Provider, attempt: str, body: bytes
) -> None:
    report = provider.parse(Callback(provider.name, attempt, body, NOW))

    assert (report.provider, report.source, report.received_at) == (
        provider.name,
        Source.CALLBACK,
        NOW,
    )


def test_it_says_whose_a_callback_is_by_attempt_and_by_its_own_id(provider: Provider) -> None:
    body = b"MessageSid=SM1&MessageStatus=delivered"

    report = provider.parse(Callback(provider.name, str(ATTEMPT), body, NOW))

    assert (report.attempt_id, report.provider_sid) == (ATTEMPT, "SM1")
    assert report.status is Status.DELIVERED


def test_a_repeated_callback_is_the_same_statement(provider: Provider) -> None:
    body = b"MessageSid=SM1&MessageStatus=sent"
    first, second = (
        provider.parse(Callback(provider.name, str(ATTEMPT), body, at))
        for at in (NOW, NOW.replace(hour=13))
    )

    assert first.identity == second.identity


@pytest.mark.parametrize("code", ["", "0", "99999", "waybill_gave_up", "\x00", *ERRORS])
def test_it_explains_every_code(provider: Provider, code: str) -> None:
    fact = provider.explain(code)

    assert fact.explanation.endswith(".")
    assert isinstance(fact.retryable, bool)


@pytest.mark.parametrize(
    ("service", "seconds", "holds"),
    [
        ("MG1", 300.0, True),
        ("MG1", 299.9, False),
        ("MG1", 35 * DAY, True),
        ("MG1", 35 * DAY + 1, False),
        ("MG1", 0.0, False),
        ("MG1", -DAY, False),
        (None, DAY, False),
    ],
)
def test_it_holds_a_message_only_inside_its_window_and_for_a_service(
    provider: Provider, service: str | None, seconds: float, holds: bool
) -> None:
    # Test keys have no carrier that could hold a message.
    assert provider.holds(service, seconds) is (holds and provider.name != "test")
