"""A carrier is waited for as long as the settings say; a test no longer than its author waits."""

from datetime import timedelta

from flask import Flask

from service.retry_policy import retry_policy


def test_a_carrier_is_waited_for_as_the_settings_say(context: Flask) -> None:
    assert retry_policy("twilio") == (20, 10.0, timedelta(hours=12), timedelta(days=4))


def test_a_test_is_over_within_seconds(context: Flask) -> None:
    assert retry_policy("sandbox") == (3, 1.0, timedelta(seconds=5), timedelta(seconds=15))
