"""Calls to Twilio: every end is classified by what may have happened to the message."""

import json
import logging
from base64 import b64encode
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from time import monotonic
from typing import Any
from uuid import UUID

import pytest

from demo.servers import free_port
from service.domain.report import Source
from service.domain.status import Status
from service.errors import Blocked, NotAccepted, OutcomeUnknown, ProviderError, Refused
from service.providers.base import LookUpQuery, Outbound
from service.providers.twilio import Twilio
from service.providers.twilio.account import Account
from tests.conftest import ACCOUNT, BASE_URL, TOKEN, make_settings
from tests.stand import Stand

ATTEMPT = UUID("0198d1c5-0000-7000-8000-000000000001")
SID = "SM00000000000000000000000000000001"
PLAIN = Outbound(ATTEMPT, 1, "+14155552671", "+15005550006", None, "A secret text", *[None] * 5)
DAY = 86_400.0
WANTED = LookUpQuery(ATTEMPT, PLAIN.to, PLAIN.sender, None, PLAIN.body, datetime.min, datetime.max)
CREATED: dict[str, Any] = {"sid": SID, "status": "queued", "num_segments": "1", "price": None}


@pytest.fixture(autouse=True)
def _created(stand: Stand) -> None:
    stand.answer(201, CREATED)


def provider(url: str, **changes: str) -> Twilio:
    changed = {"TWILIO_API_BASE_URL": url, "TWILIO_READ_TIMEOUT": "0.2", **changes}
    return Twilio(make_settings("sqlite:///unused.db", "redis://unused", **changed))


def twilio(url: str, **changes: str) -> Account:
    return provider(url, **changes).accounts["default"]


def failure(url: str) -> ProviderError:
    with pytest.raises(ProviderError) as caught:
        twilio(url).send(PLAIN)
    return caught.value


def test_accepted_message_is_reported_with_its_sid(stand: Stand) -> None:
    report = twilio(stand.url).send(PLAIN)

    assert (report.provider_sid, report.status) == (SID, Status.QUEUED)
    assert (report.source, report.attempt_id) == (Source.API, ATTEMPT)
    assert (report.segments, report.price) == (1, None)


def test_plain_message_is_posted_with_its_fields_only(stand: Stand) -> None:
    twilio(stand.url).send(PLAIN)

    assert stand.paths == [f"/2010-04-01/Accounts/{ACCOUNT}/Messages.json"]
    assert stand.authorization == "Basic " + b64encode(f"{ACCOUNT}:{TOKEN}".encode()).decode()
    assert stand.form == {
        "To": ["+14155552671"],
        "From": ["+15005550006"],
        "Body": ["A secret text"],
        "Attempt": ["1"],
        "StatusCallback": [
            f"{BASE_URL}/callbacks/twilio/{ATTEMPT}#ct=2000&rt=4000&tt=15000&rc=5&rp=all"
        ],
    }


def test_message_with_all_fields_is_posted_with_them(stand: Stand) -> None:
    twilio(stand.url, TWILIO_CALLBACK_OVERRIDES="rc=2").send(
        replace(
            PLAIN,
            attempt=3,
            sender=None,
            messaging_service_sid="MG1",
            body=None,
            media_urls=["https://example.com/a.png", "https://example.com/b.png"],
            content_sid="HX1",
            content_variables={"1": "Ada"},
            send_at=datetime(2026, 11, 22, 12, 0, tzinfo=UTC),
            validity_period=600,
            smart_encoding=True,
        )
    )

    form = stand.form
    assert json.loads(form.pop("ContentVariables")[0]) == {"1": "Ada"}
    assert form == {
        **{"To": ["+14155552671"], "MessagingServiceSid": ["MG1"]},
        "MediaUrl": ["https://example.com/a.png", "https://example.com/b.png"],
        "ContentSid": ["HX1"],
        "SendAt": ["2026-11-22T12:00:00Z"],
        "ScheduleType": ["fixed"],
        "ValidityPeriod": ["600"],
        "SmartEncoded": ["true"],
        "Attempt": ["3"],
        "StatusCallback": [f"{BASE_URL}/callbacks/twilio/{ATTEMPT}#rc=2"],
    }


@pytest.mark.parametrize("none", ["none", "None", "NONE"])
def test_callback_overrides_can_be_left_out(stand: Stand, none: str) -> None:
    twilio(stand.url, TWILIO_CALLBACK_OVERRIDES=none).send(PLAIN)
    assert stand.form["StatusCallback"] == [f"{BASE_URL}/callbacks/twilio/{ATTEMPT}"]


def test_new_messages_use_the_first_base_url(stand: Stand) -> None:
    twilio(stand.url, PUBLIC_BASE_URL=f"https://new.example.com, {BASE_URL}").send(PLAIN)
    [address] = stand.form["StatusCallback"]
    assert address.startswith(f"https://new.example.com/callbacks/twilio/{ATTEMPT}#")


def refusal(status: int, code: object) -> dict[str, object]:
    return {"code": code, "message": "No.", "more_info": "https://…", "status": status}


def problem(status: object, code: object = 20001) -> dict[str, object]:
    return {"type": "https://…", "title": "Bad", "status": status, "code": code, "detail": "No."}


@pytest.mark.parametrize(
    ("status", "body", "kind", "code"),
    [
        (400, refusal(400, 21211), Refused, "21211"),
        (400, problem(400), Refused, "20001"),
        (429, refusal(429, 20429), NotAccepted, "20429"),
        (429, problem(429, 20429), NotAccepted, "20429"),
        (429, b"<html>slow down</html>", NotAccepted, None),
        (401, refusal(401, 20003), Blocked, "20003"),
        (401, problem(401, 20003), Blocked, "20003"),
        (401, b"<html>unauthorized</html>", NotAccepted, None),
        (500, refusal(500, 20500), OutcomeUnknown, "20500"),
        (503, refusal(503, 20503), OutcomeUnknown, "20503"),
        (500, problem(500, 20500), OutcomeUnknown, "20500"),
        # The status line decides; a body cannot talk an error into a certain answer.
        *((500, problem(status), OutcomeUnknown, "20001") for status in (400, 401, 429, None, [])),
        (502, b"<html>bad gateway</html>", OutcomeUnknown, None),
        (503, b"<html>unavailable</html>", OutcomeUnknown, None),
        (404, b"<html>not found</html>", OutcomeUnknown, None),
        (404, {"error": "a proxy's"}, OutcomeUnknown, None),
        (400, [], OutcomeUnknown, None),
        (302, b"", OutcomeUnknown, None),
        (307, b"", OutcomeUnknown, None),
    ],
)
def test_answer_is_classified_by_what_may_have_happened(
    stand: Stand, status: int, body: object, kind: type[ProviderError], code: str
) -> None:
    stand.answer(status, body)
    error = failure(stand.url)
    assert (type(error), error.code, len(stand.paths)) == (kind, code, 1)


@pytest.mark.parametrize(
    "body",
    [
        *(b"", b"not JSON", b"\xff", b"null", b"[]", b'"text"', b"7", b"{}", b"[" * 50_000),
        *({"sid": None}, {"sid": ""}, {"sid": " "}, {"sid": True}, {"sid": ["SM1"]}),
    ],
    ids=lambda body: repr(body)[:40],
)
def test_unreadable_success_is_unknown(stand: Stand, body: object) -> None:
    stand.answer(201, body)
    assert type(failure(stand.url)) is OutcomeUnknown


@pytest.mark.parametrize("host", ["127.0.0.1", "nowhere.invalid"])
def test_unsent_request_is_not_accepted(host: str) -> None:
    assert type(failure(f"http://{host}:{free_port()}")) is NotAccepted


@pytest.mark.parametrize("habit", ["hangs up", "says nothing"])
def test_send_without_an_answer_is_unknown_and_not_repeated(stand: Stand, habit: str) -> None:
    stand.habit, begun = habit, monotonic()
    assert type(failure(stand.url)) is OutcomeUnknown
    assert (len(stand.paths), monotonic() - begun < 3) == (1, True)


@pytest.mark.parametrize("status", [200, 400, 503])
def test_logs_contain_neither_number_nor_text(
    stand: Stand, status: int, caplog: pytest.LogCaptureFixture
) -> None:
    stand.answer(status, {**CREATED, "messages": []})
    caplog.set_level(logging.DEBUG)
    for call in (lambda: twilio(stand.url).send(PLAIN), lambda: twilio(stand.url).find(WANTED)):
        with suppress(ProviderError):
            call()
    assert "4155552671" not in caplog.text
    assert "secret" not in caplog.text


def test_scheduled_message_is_canceled_by_its_sid(stand: Stand) -> None:
    stand.answer(200, {**CREATED, "status": "canceled"})
    report = twilio(stand.url).cancel(ATTEMPT, SID)
    assert stand.paths == [f"/2010-04-01/Accounts/{ACCOUNT}/Messages/{SID}.json"]
    assert stand.form == {"Status": ["canceled"]}
    assert (report.status, report.attempt_id) == (Status.CANCELED, ATTEMPT)


def test_refusal_keeps_the_answer_of_twilio(stand: Stand) -> None:
    stand.answer(400, refusal(400, 30409))
    with pytest.raises(Refused) as caught:
        twilio(stand.url).cancel(ATTEMPT, SID)
    assert caught.value.raw == {"status": 400, "code": "30409", "message": caught.value.message}


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
def test_twilio_schedules_only_in_its_window_with_a_service(
    service: str | None, seconds: float, holds: bool
) -> None:
    assert provider("http://unused.invalid").can_schedule(service, seconds) is holds
