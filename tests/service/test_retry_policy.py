"""The settings decide how long a provider is tried; a test message ends within seconds."""

from datetime import timedelta

from flask import Flask

from service.retry_policy import retry_policy


def test_settings_limit_retries_and_polling(context: Flask) -> None:
    assert retry_policy("twilio") == (
        timedelta(hours=4),
        20,
        10.0,
        timedelta(hours=12),
        timedelta(days=4),
    )


def test_sandbox_message_ends_within_seconds(context: Flask) -> None:
    seconds = timedelta(seconds=1)
    assert retry_policy("sandbox") == (15 * seconds, 3, 1.0, 5 * seconds, 15 * seconds)
