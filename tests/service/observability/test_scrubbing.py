"""The last line of defence: numbers, keys and passwords are masked, ids and counts are not."""

from collections.abc import Iterator
from uuid import UUID, uuid4

import pytest

from service.observability import scrubbing
from tests.conftest import make_settings


@pytest.fixture(autouse=True)
def secrets() -> Iterator[None]:
    before = scrubbing._secrets
    scrubbing._secrets = ()
    yield
    scrubbing._secrets = before


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("to +14155552671.", "to ***71."),
        ("to=%2B14155552671&x", "to=***71&x"),
        ("+1 (415) 555-2671", "***71"),
        ("tel:4155552671", "tel:***71"),
        ('{"To": "14155552671"}', '{"To": "***71"}'),
        ("key wb_abcdefghijklmnopqrstuvwxyz", "key wb_***"),
        ("key wbop_abcdefghijklmnopqrstuvwxyz", "key wbop_***"),
        ("Authorization: Basic QUMwMDAwMDE6c2VjcmV0", "Authorization: Basic ***"),
        ("redis://:hunter2@cache:6379/0", "redis://***@cache:6379/0"),
        ("postgresql://waybill:hunter/2@db/waybill", "postgresql://***@db/waybill"),
        ("a\x1b[2Jb\rc", "a?[2Jb?c"),
    ],
)
def test_what_is_personal_or_secret_is_masked(text: str, masked: str) -> None:
    assert scrubbing.mask(text) == masked


@pytest.mark.parametrize(
    "text",
    [
        str(UUID(int=0x0198012345670000800012345678_9012)),
        "12345678-1234-7123-8123-123456789012",
        "SM12345678901234567890123456789012",
        "21211 after 0.123456789012 s, 500 of 200000 at 2026-11-21T13:47:01.123456+00:00",
        "waybill.consume_inbox at :6379",
    ],
)
def test_ids_counts_and_times_are_left_alone(text: str) -> None:
    assert scrubbing.mask(text) == text


def test_any_uuid_is_left_alone() -> None:
    for _ in range(2000):
        text = str(uuid4())
        assert scrubbing.mask(text) == text


def test_the_secrets_of_the_settings_are_masked_wherever_they_stand() -> None:
    settings = make_settings(
        "postgresql://waybill:database-pass%21@db/waybill",
        "redis://:redis-password@cache/0",
        TWILIO_AUTH_TOKEN="primary-token",
        TWILIO_EXTRA_AUTH_TOKENS="AC1:old:second-token",
        TWILIO_SHARED_KEYS="k1:HMAC_SHA256:shared-secret",
        METRICS_TOKEN="metrics-token-of-ours",
    )
    scrubbing.keep_secret(settings)

    told = "primary-token second-token shared-secret metrics-token-of-ours redis-password"
    assert scrubbing.mask(told) == "*** *** *** *** ***"
    assert scrubbing.mask("database-pass%21 database-pass!") == "*** ***"


def test_a_short_secret_does_not_tear_words_apart() -> None:
    scrubbing.keep_secret(make_settings("sqlite:///x.db", "redis://r", TWILIO_AUTH_TOKEN="sent"))

    assert scrubbing.mask("sent") == "sent"
