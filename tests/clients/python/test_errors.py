"""Errors carry what the server said, and never the key or the text."""

import logging
import pickle
from typing import Any

import httpx
import pytest

from waybill_client import Invalid, NoAnswer, Problem, Waybill, WaybillError
from waybill_client.fake import FakeWaybill

KEY = "wb_secret_key_of_a_client"
HELLO: dict[str, Any] = {"to": "+14155552671", "body": "The code is 4711"}


def refused(answer: httpx.Response) -> Problem:
    transport = httpx.MockTransport(lambda _: answer)
    with pytest.raises(Problem) as error:
        Waybill("http://waybill.test", KEY, deadline=0.9, transport=transport).send(**HELLO)
    return error.value


def test_problem_has_all_that_the_server_said() -> None:
    document = {
        "title": "Invalid request",
        "status": 422,
        "detail": "see errors",
        "errors": [{"field": "to", "message": "is not a phone number"}],
    }
    headers = {"Content-Type": "application/problem+json", "X-Request-ID": "r-1"}
    error = refused(httpx.Response(422, json=document, headers=headers))
    assert isinstance(error, Invalid)
    assert (error.status, error.title, error.detail) == (422, "Invalid request", "see errors")
    assert error.errors == {"to": "is not a phone number"}
    assert error.request_id == "r-1"
    assert error.idempotency_key
    assert str(error) == ("422 Invalid request: see errors; to is not a phone number (request r-1)")


@pytest.mark.parametrize(
    "answer",
    [
        httpx.Response(404, text="<html>nginx</html>"),
        httpx.Response(404, json={"title": "of another server", "errors": "x"}),
        httpx.Response(503, content=b"{", headers={"Content-Type": "application/problem+json"}),
        httpx.Response(302, headers={"Location": "https://elsewhere.example.com"}),
    ],
)
def test_answer_of_a_proxy_is_a_problem(answer: httpx.Response) -> None:
    error = refused(answer)
    assert error.status == answer.status_code
    assert error.title == answer.reason_phrase


def errors_of_every_kind() -> list[WaybillError]:
    fake, errors = FakeWaybill(KEY), list[WaybillError]()
    for status in (401, 404, 409, 410, 422, 429, 500, 503):
        fake.answer_next(status, times=2)
        with pytest.raises(WaybillError) as failed:
            fake.client(deadline=0.9).send(**HELLO)
        errors.append(failed.value)
        fake = FakeWaybill(KEY)
    with pytest.raises(WaybillError) as failed:
        fake.client(api_key=KEY + "2").send(**HELLO)
    errors.append(failed.value)
    fake.lose_next_answer()
    with pytest.raises(NoAnswer) as failed:
        fake.client(deadline=0.9).send(**HELLO)
    return [*errors, failed.value]


def test_no_error_and_no_log_has_the_key_or_the_text(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    waybill = FakeWaybill(KEY).client()
    waybill.send(**HELLO)
    shown = [repr(waybill), str(waybill), caplog.text]
    for error in errors_of_every_kind():
        shown += [str(error), repr(error), repr(vars(error)), repr(error.__cause__)]
    shown.append(caplog.text)
    for text in shown:
        assert "wb_secret" not in text
        assert "4711" not in text


def test_errors_survive_pickling() -> None:
    for error in errors_of_every_kind():
        copy = pickle.loads(pickle.dumps(error))
        assert (type(copy), str(copy)) == (type(error), str(error))
        assert copy.idempotency_key == error.idempotency_key


def test_blanks_around_the_key_are_left_out() -> None:
    fake = FakeWaybill(KEY)
    assert fake.client(api_key=f" {KEY}\n").send(**HELLO)["status"] == "pending"


@pytest.mark.parametrize("key", ["", " \n", "wb_a\nwb_b", "wb_é", "wb_a wb_b"])
def test_impossible_key_is_refused_and_not_shown(key: str) -> None:
    with pytest.raises(ValueError, match="api_key") as refusal:
        Waybill("https://waybill.example.com", key)
    assert "wb_a" not in str(refusal.value)


@pytest.mark.parametrize(
    "url", ["", "waybill.example.com", "ftp://a.example.com", "https://user:secret@a.example.com"]
)
def test_impossible_url_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match="url") as refusal:
        Waybill(url, KEY)
    assert "secret" not in str(refusal.value)


def test_url_with_a_path_is_kept() -> None:
    paths = list[str]()

    def answer(request: httpx.Request) -> httpx.Response:
        paths.append(request.url.path)
        return httpx.Response(200, json={"messages": [], "next_cursor": None})

    transport = httpx.MockTransport(answer)
    list(Waybill("https://example.com/sms/", KEY, transport=transport).messages())
    assert paths == ["/sms/v1/messages"]
