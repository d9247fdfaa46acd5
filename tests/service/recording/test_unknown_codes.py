"""Error codes that our tables lack are counted by provider and named in the log."""

import pytest
from flask import Flask

from service.errors import GAVE_UP, Refused
from service.observability import events
from service.providers.twilio import errors
from service.recording import record, unknown_codes
from service.sending import deliver
from tests.counted import counting
from tests.fakes import FakeProvider, said
from tests.messages import Post

COUNTER = "waybill_unknown_error_codes_total"


@pytest.fixture(autouse=True)
def _real_codes(context: Flask, provider: FakeProvider, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(provider, "explain", errors.explain)
    unknown_codes._log_once.cache_clear()


def test_unknown_code_of_a_callback_is_counted_once(post: Post, provider: FakeProvider) -> None:
    post()
    deliver.deliver()
    report = said(
        "undelivered", attempt_id=provider.on_air[-1].attempt_id, sid="SM1", error_code="39999"
    )
    with counting(COUNTER) as unknown:
        record.record([report])
        record.record([report])  # the provider repeats callbacks
    assert unknown == {("twilio",): 1}


def test_unknown_code_of_an_answer_is_counted(post: Post, provider: FakeProvider) -> None:
    def refuse(_: object) -> None:
        raise Refused("new rule", "29999")

    provider.script = refuse  # type: ignore[assignment]
    post()
    with counting(COUNTER) as unknown:
        deliver.deliver()
    assert unknown == {("twilio",): 1}


@pytest.mark.parametrize("code", [None, "30003", "20005", GAVE_UP])
def test_explained_code_is_not_counted(code: str | None) -> None:
    with counting(COUNTER) as unknown:
        record.record([said("undelivered", sid="SM1", error_code=code)])
    assert unknown == {}


def test_log_names_each_unknown_code_once(monkeypatch: pytest.MonkeyPatch) -> None:
    logged = list[tuple[str, str]]()
    monkeypatch.setattr(events, "unknown_code", lambda *code: logged.append(code))
    for sid, code in (("SM1", "39999"), ("SM2", "39999"), ("SM3", "39998")):
        record.record([said("failed", sid=sid, error_code=code)])
    assert logged == [("twilio", "39999"), ("twilio", "39998")]
