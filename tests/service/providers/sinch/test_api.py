"""Calls to Sinch: every end is classified by what may have happened to the message."""

import logging
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from time import monotonic
from typing import Any
from urllib.parse import parse_qs, urlsplit
from uuid import UUID

import pytest

from demo.servers import free_port
from service.domain.report import Source
from service.domain.status import Status
from service.errors import Blocked, NotAccepted, OutcomeUnknown, ProviderError, Refused
from service.providers.base import LookUpQuery, Outbound, Sender
from service.providers.sinch import Sinch
from service.providers.sinch.account import Account
from tests.conftest import BASE_URL, SINCH, make_settings
from tests.stand import Stand

ATTEMPT = UUID("0198d1c5-0000-7000-8000-000000000001")
BATCH = "01JHFFHQ0P99JPPNQPJDV7JTBP"
NOON = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
PLAIN = Outbound(ATTEMPT, 1, "+14155552671", "+447700900001", None, "A secret text", *[None] * 5)
WANTED = LookUpQuery(
    ATTEMPT, PLAIN.to, PLAIN.sender, None, PLAIN.body, NOON, NOON + timedelta(hours=1)
)
CREATED: dict[str, Any] = {"id": BATCH, "canceled": False, "client_reference": str(ATTEMPT)}
REPORT = {
    "type": "delivery_report_sms",
    "batch_id": BATCH,
    "total_message_count": 1,
    "statuses": [{"code": 0, "status": "Delivered", "count": 1, "recipients": ["14155552671"]}],
}
BATCHES = "/xms/v1/plan/batches"


@pytest.fixture(autouse=True)
def _created(stand: Stand) -> None:
    stand.answer(201, CREATED)


def provider(url: str, **changes: str) -> Sinch:
    changed = {**SINCH, "SINCH_API_BASE_URL": url, "SINCH_READ_TIMEOUT": "0.2", **changes}
    return Sinch(make_settings("sqlite:///unused.db", "redis://unused", **changed))


def sinch(url: str, **changes: str) -> Account:
    return provider(url, **changes).accounts["default"]


def failure(call: Callable[[], object]) -> ProviderError:
    with pytest.raises(ProviderError) as caught:
        call()
    return caught.value


def test_accepted_message_is_reported_with_its_batch(stand: Stand) -> None:
    report = sinch(stand.url).send(PLAIN)

    assert (report.provider_sid, report.status) == (BATCH, Status.ACCEPTED)
    assert (report.source, report.attempt_id) == (Source.API, ATTEMPT)


def test_plain_message_is_a_batch_with_the_attempt_id(stand: Stand) -> None:
    sinch(stand.url).send(PLAIN)

    assert (stand.methods, stand.paths) == (["POST"], [BATCHES])
    assert stand.authorization == "Bearer sinch-api-token"
    assert stand.json == {
        "to": ["+14155552671"],
        "from": "+447700900001",
        "body": "A secret text",
        "type": "mt_text",
        "delivery_report": "per_recipient",
        "callback_url": f"{BASE_URL}/callbacks/sinch/{ATTEMPT}",
        "client_reference": str(ATTEMPT),
    }


def test_plan_without_signatures_gets_a_secret_url(
    stand: Stand, caplog: pytest.LogCaptureFixture
) -> None:
    secret = "a-secret-in-the-path"
    changes = {"SINCH_CALLBACK_SECRETS": "", "SINCH_CALLBACK_PATH_SECRET": secret}

    sinch(stand.url, **changes).send(PLAIN)

    assert stand.json["callback_url"] == f"{BASE_URL}/callbacks/sinch/{secret}/{ATTEMPT}"
    [warning] = [record for record in caplog.records if record.levelno == logging.WARNING]
    assert "not signed" in warning.message
    assert secret not in caplog.text


def test_plan_with_signatures_logs_no_warning(
    stand: Stand, caplog: pytest.LogCaptureFixture
) -> None:
    sinch(stand.url)

    assert caplog.records == []


def test_times_are_sent_in_utc(stand: Stand) -> None:
    sinch(stand.url).send(replace(PLAIN, send_at=NOON, validity_period=600))

    assert stand.json["send_at"] == "2026-11-21T12:00:00.000Z"
    assert stand.json["expire_at"] == "2026-11-21T12:10:00.000Z"


def test_message_without_send_at_expires_from_now(stand: Stand) -> None:
    sinch(stand.url).send(replace(PLAIN, validity_period=600))

    ahead = datetime.fromisoformat(stand.json["expire_at"]) - datetime.now(UTC)
    assert timedelta(seconds=590) < ahead <= timedelta(seconds=600)
    assert "send_at" not in stand.json


def test_netrc_does_not_replace_the_token(
    stand: Stand, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login other password else\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))

    sinch(stand.url).send(PLAIN)

    assert stand.authorization == "Bearer sinch-api-token"


@pytest.mark.parametrize("region", ["us", "eu"])
def test_region_is_in_the_url(region: str) -> None:
    settings = make_settings("sqlite:///unused.db", "redis://u", **SINCH, SINCH_REGION=region)

    assert (
        Sinch(settings).accounts["default"]._batches._url
        == f"https://{region}.sms.api.sinch.com{BATCHES}"
    )


def refusal(code: object) -> dict[str, object]:
    return {"code": code, "text": "No."}


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (400, refusal("syntax_invalid_parameter_format"), Refused),
        (403, refusal("unknown_group"), Refused),
        (429, refusal("too_many_requests"), NotAccepted),
        (429, b"<html>slow down</html>", NotAccepted),
        (401, refusal("unauthorized"), Blocked),
        (401, b"", Blocked),
        (500, refusal("internal_error"), OutcomeUnknown),
        (503, b"<html>unavailable</html>", OutcomeUnknown),
        (502, b"<html>bad gateway</html>", OutcomeUnknown),
        (404, b"<html>not found</html>", OutcomeUnknown),
        (403, {"error": "a proxy's"}, OutcomeUnknown),
        (400, {"code": "bad"}, OutcomeUnknown),
        (400, {"code": 7, "text": "No."}, OutcomeUnknown),
        (400, [], OutcomeUnknown),
        (302, b"", OutcomeUnknown),
        (307, refusal("syntax_invalid_json"), OutcomeUnknown),
    ],
)
def test_answer_is_classified_by_what_may_have_happened(
    stand: Stand, status: int, body: object, kind: type[ProviderError]
) -> None:
    stand.answer(status, body)

    error = failure(lambda: sinch(stand.url).send(PLAIN))

    assert (type(error), len(stand.paths)) == (kind, 1)


def test_refusal_keeps_the_answer_of_sinch(stand: Stand) -> None:
    stand.answer(400, refusal("syntax_constraint_violation"))

    error = failure(lambda: sinch(stand.url).send(PLAIN))

    assert (error.code, error.message) == ("syntax_constraint_violation", "No.")
    assert error.raw == {"status": 400, "code": error.code, "message": "No."}


@pytest.mark.parametrize(
    "body",
    [
        *(b"", b"not JSON", b"\xff", b"null", b"[]", b"7", b"{}", b"[" * 50_000),
        *({"id": None}, {"id": ""}, {"batch": BATCH}),
    ],
    ids=lambda body: repr(body)[:40],
)
def test_unreadable_success_is_unknown(stand: Stand, body: object) -> None:
    stand.answer(201, body)
    provider = sinch(stand.url)

    for call in (
        lambda: provider.send(PLAIN),
        lambda: provider.cancel(ATTEMPT, BATCH),
        lambda: provider.fetch(ATTEMPT, BATCH),
        lambda: provider.find(WANTED),
    ):
        assert type(failure(call)) is OutcomeUnknown


def test_unsent_request_is_not_accepted() -> None:
    nobody = sinch(f"http://127.0.0.1:{free_port()}")

    assert type(failure(lambda: nobody.send(PLAIN))) is NotAccepted


@pytest.mark.parametrize("habit", ["hangs up", "says nothing"])
def test_send_without_an_answer_is_unknown_and_not_repeated(stand: Stand, habit: str) -> None:
    stand.habit, begun = habit, monotonic()

    assert type(failure(lambda: sinch(stand.url).send(PLAIN))) is OutcomeUnknown
    assert (len(stand.paths), monotonic() - begun < 3) == (1, True)


@pytest.mark.parametrize("status", [200, 400, 503])
def test_logs_contain_neither_number_nor_text(
    stand: Stand, status: int, caplog: pytest.LogCaptureFixture
) -> None:
    stand.answer(status, {**CREATED, "batches": []})
    caplog.set_level(logging.DEBUG)
    for call in (lambda: sinch(stand.url).send(PLAIN), lambda: sinch(stand.url).find(WANTED)):
        with suppress(ProviderError):
            call()

    assert "4155552671" not in caplog.text
    assert "secret" not in caplog.text
    assert "sinch-api-token" not in caplog.text


def test_lost_send_is_looked_up_by_the_attempt_id(stand: Stand) -> None:
    stand.answer(200, {"count": 1, "batches": [CREATED]})

    [found] = sinch(stand.url).find(WANTED)

    query = parse_qs(urlsplit(stand.paths[0]).query)
    assert stand.methods == ["GET"]
    assert query == {
        "client_reference": [str(ATTEMPT)],
        "start_date": ["2026-11-21T12:00:00.000Z"],
    }
    assert (found.attempt_id, found.provider_sid) == (ATTEMPT, BATCH)
    assert found.source is Source.RECONCILIATION


def test_batch_with_another_reference_is_not_found(stand: Stand) -> None:
    others = [{**CREATED, "client_reference": "another"}, {"id": BATCH}, None, "batch"]
    stand.answer(200, {"count": 4, "batches": others})

    assert sinch(stand.url).find(WANTED) == []


def test_message_is_fetched_by_its_batch(stand: Stand) -> None:
    stand.answer(200, REPORT)

    report = sinch(stand.url).fetch(ATTEMPT, "01/../x?")

    assert stand.paths == [f"{BATCHES}/01%2F..%2Fx%3F/delivery_report?type=full"]
    assert (report.status, report.attempt_id) == (Status.DELIVERED, ATTEMPT)
    assert report.source is Source.RECONCILIATION


@pytest.mark.parametrize("body", [b"", refusal("not_found")])
def test_unknown_batch_is_refused(stand: Stand, body: object) -> None:
    stand.answer(404, body)

    assert type(failure(lambda: sinch(stand.url).fetch(ATTEMPT, BATCH))) is Refused


def test_scheduled_message_is_canceled_by_its_batch(stand: Stand) -> None:
    stand.answer(200, {**CREATED, "canceled": True})

    report = sinch(stand.url).cancel(ATTEMPT, BATCH)

    assert (stand.methods, stand.paths) == (["DELETE"], [f"{BATCHES}/{BATCH}"])
    assert (report.status, report.attempt_id) == (Status.CANCELED, ATTEMPT)


def test_cancellation_without_effect_is_refused(stand: Stand) -> None:
    stand.answer(200, CREATED)

    assert type(failure(lambda: sinch(stand.url).cancel(ATTEMPT, BATCH))) is Refused


@pytest.mark.parametrize(
    ("seconds", "holds"),
    [(59.9, False), (60.0, True), (172_800.0, True), (172_801.0, False), (-60.0, False)],
)
def test_sinch_schedules_from_a_minute_to_two_days(seconds: float, holds: bool) -> None:
    assert provider("http://unused.invalid").can_schedule(None, seconds) is holds


@pytest.mark.parametrize(
    ("to", "fields", "misfits"),
    [
        ("+46701740605", {"to", "body", "send_at", "validity_period", "from"}, []),
        ("whatsapp:+46701740605", {"body"}, ["to"]),
        (
            "rcs:brand",
            {"content_sid", "media_urls"},
            ["to", "content_sid", "media_urls"],
        ),
        ("+46701740605", {"messaging_service_sid"}, ["messaging_service_sid"]),
    ],
)
def test_only_plain_text_to_a_number_is_supported(
    to: str, fields: set[str], misfits: list[str]
) -> None:
    assert provider("http://unused.invalid").unsupported_fields(to, fields) == misfits


@pytest.mark.parametrize(("number", "expected"), [("ACME", Sender("ACME")), ("", None)])
def test_settings_give_the_default_sender(number: str, expected: Sender | None) -> None:
    made = sinch("http://unused.invalid", SINCH_PHONE_NUMBER=number)

    assert made.default_sender() == expected
