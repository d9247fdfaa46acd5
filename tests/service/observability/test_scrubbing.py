"""Masking of phone numbers, keys and passwords; ids and counts are kept."""

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
def test_phone_numbers_and_secrets_are_masked(text: str, masked: str) -> None:
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
def test_ids_counts_and_times_are_kept(text: str) -> None:
    assert scrubbing.mask(text) == text


def test_uuids_are_kept() -> None:
    for _ in range(2000):
        text = str(uuid4())
        assert scrubbing.mask(text) == text


def test_secrets_of_the_settings_are_masked() -> None:
    settings = make_settings(
        "postgresql://waybill:database-pass%21@db/waybill",
        "redis://:redis-password@cache/0",
        TWILIO_AUTH_TOKEN="primary-token",
        TWILIO_EXTRA_AUTH_TOKENS="AC1:old:second-token",
        TWILIO_SHARED_KEYS="k1:HMAC_SHA256:shared-secret",
        METRICS_TOKEN="metrics-token-of-ours",
    )
    scrubbing.keep_secret(settings)

    text = "primary-token second-token shared-secret metrics-token-of-ours redis-password"
    assert scrubbing.mask(text) == "*** *** *** *** ***"
    assert scrubbing.mask("database-pass%21 database-pass!") == "*** ***"


def test_short_secret_is_not_masked() -> None:
    scrubbing.keep_secret(make_settings("sqlite:///x.db", "redis://r", TWILIO_AUTH_TOKEN="sent"))

    assert scrubbing.mask("sent") == "sent"
