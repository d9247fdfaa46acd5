"""HTTP requests to a provider: proxies of the environment, answers, Retry-After."""

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest

from service.errors import OutcomeUnknown
from service.providers import http
from service.providers.http import Server, call, with_query
from tests.stand import Stand


def server(address: str) -> Server:
    return Server(address, connect=1.0, read=1.0, connections=2)


def test_proxy_of_the_environment_gets_the_full_url(
    stand: Stand, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", stand.url)
    monkeypatch.setenv("no_proxy", "another.invalid")
    stand.answer(200, {"from": "the proxy"})

    answer = server("http://api.invalid").request("GET", "http://api.invalid/messages", {})

    assert (answer.status, answer.text) == (200, '{"from": "the proxy"}')
    assert stand.paths == ["http://api.invalid/messages"]


def test_no_proxy_of_the_environment_is_respected(
    stand: Stand, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    stand.answer(200, {})

    assert server(stand.url).request("DELETE", f"{stand.url}/messages", {}).status == 200
    assert (stand.methods, stand.paths) == (["DELETE"], ["/messages"])


def test_truncated_answer_is_unknown(stand: Stand) -> None:
    stand.answer(201, b"{}")
    stand.habit = "breaks off"

    with pytest.raises(OutcomeUnknown):
        call(lambda: server(stand.url).request("POST", stand.url, {}, b""))


def test_longer_answer_than_the_limit_is_unknown(
    stand: Stand, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http, "_MAX_ANSWER", 100)
    stand.answer(200, b"x" * 101)
    with pytest.raises(OutcomeUnknown):
        call(lambda: server(stand.url).request("POST", stand.url, {}))
    stand.answer(200, b"x" * 100)
    assert server(stand.url).request("POST", stand.url, {}).text == "x" * 100


def test_answer_that_is_not_utf8_is_read(stand: Stand) -> None:
    stand.answer(200, b"\xff{}")

    assert server(stand.url).request("POST", stand.url, {}, b"body").text == "\ufffd{}"
    assert stand.sent == b"body"


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("30", 30.0),
        (" 0 ", 0.0),
        ("9" * 30, 21_600.0),
        ("Thu, 01 Jan 2026 00:00:00 GMT", 0.0),
        ("soon", None),
        ("-5", None),
        ("1.5", None),
        ("", None),
        ("9" * 5000, None),
    ],
)
def test_retry_after_is_read_as_seconds(stand: Stand, header: str, seconds: float | None) -> None:
    stand.answer(429, {})
    stand.headers["Retry-After"] = header
    assert server(stand.url).request("POST", stand.url, {}).retry_after == seconds


def test_retry_after_is_read_as_a_date(stand: Stand) -> None:
    stand.answer(429, {})
    later = datetime.now(UTC) + timedelta(seconds=120)
    stand.headers["Retry-After"] = format_datetime(later, usegmt=True)
    wait = server(stand.url).request("POST", stand.url, {}).retry_after
    assert wait is not None
    assert 100 <= wait <= 120


def test_answer_without_retry_after_has_none(stand: Stand) -> None:
    stand.answer(429, {})
    assert server(stand.url).request("POST", stand.url, {}).retry_after is None


def test_query_repeats_lists_and_omits_none() -> None:
    assert with_query("http://a/b", {"to": "+1", "x": ["1", "2"]}) == "http://a/b?to=%2B1&x=1&x=2"
    assert with_query("http://a/b", {"to": None}) == with_query("http://a/b", None) == "http://a/b"
