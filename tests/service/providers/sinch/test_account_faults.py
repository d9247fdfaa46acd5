"""Sinch's answers and codes about the account, the configuration or the region.

The table repeats the judgement about each answer by hand, as a second opinion to `errors.csv`.
"""

import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, Final
from uuid import UUID

import pytest

from service.domain.scope import Scope
from service.errors import Blocked, NotAccepted, OutcomeUnknown, ProviderError, Refused
from service.providers.base import Callback, LookUpQuery, Outbound
from service.providers.sinch import Sinch
from tests.conftest import SINCH, make_settings
from tests.stand import Stand

ATTEMPT = UUID("0198d1c5-0000-7000-8000-000000000001")
BATCH = "01JHFFHQ0P99JPPNQPJDV7JTBP"
NOON = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
PLAIN = Outbound(ATTEMPT, 1, "+14155552671", "+447700900001", None, "Hello", *[None] * 5)
WANTED = LookUpQuery(ATTEMPT, PLAIN.to, PLAIN.sender, None, PLAIN.body, NOON, NOON)

Kind = type[ProviderError]


def word(code: str) -> dict[str, object]:
    return {"code": code, "text": "No."}


ANSWERS: Final[list[tuple[int, object, Kind, Scope | None]]] = [
    (400, word("syntax_invalid_json"), Refused, None),
    (400, word("syntax_invalid_parameter_format"), Refused, None),
    (400, word("syntax_constraint_violation"), Refused, None),
    (401, b"", Blocked, Scope.ACCOUNT),
    (401, word("unauthorized"), Blocked, Scope.ACCOUNT),
    (401, b"<html>unauthorized</html>", Blocked, Scope.ACCOUNT),
    (403, word("blocked_account"), Blocked, Scope.ACCOUNT),
    (403, word("missing_callback_url"), Blocked, Scope.ACCOUNT),
    (403, word("unknown_campaign"), Blocked, Scope.ACCOUNT),
    (403, word("unknown_group"), Refused, None),
    (403, word("llegal_number_type"), Refused, None),
    (403, word("illegal_number_type"), Refused, None),
    (404, b"", Blocked, Scope.ACCOUNT),
    (404, word("not_found"), Blocked, Scope.ACCOUNT),
    (405, b"", Blocked, Scope.ACCOUNT),
    (415, b"", Blocked, Scope.ACCOUNT),
    (429, b"", NotAccepted, None),
    (500, word("internal_error"), OutcomeUnknown, None),
    (500, word("blocked_account"), OutcomeUnknown, None),
    (503, b"", OutcomeUnknown, None),
    # Not in the table: a word that is new to us, and answers that may be a proxy's.
    (403, word("something_new"), Refused, None),
    (403, b"", OutcomeUnknown, None),
    (404, b"<html>not found</html>", OutcomeUnknown, None),
    (405, {"error": "a proxy's"}, OutcomeUnknown, None),
]


def sinch(stand: Stand) -> Sinch:
    changes = {**SINCH, "SINCH_API_BASE_URL": stand.url, "SINCH_READ_TIMEOUT": "0.5"}
    return Sinch(make_settings("sqlite:///unused.db", "redis://unused", **changes))


def failure(call: Callable[[], object]) -> ProviderError:
    with pytest.raises(ProviderError) as caught:
        call()
    return caught.value


def label(value: Any) -> str:
    return value["code"] if isinstance(value, dict) and "code" in value else str(value)[:24]


@pytest.mark.parametrize(("status", "body", "kind", "scope"), ANSWERS, ids=label)
def test_answer_to_a_send_is_classified_by_its_code(
    stand: Stand, status: int, body: object, kind: Kind, scope: Scope | None
) -> None:
    stand.answer(status, body)
    provider = sinch(stand)
    error = failure(lambda: provider.accounts["default"].send(PLAIN))
    assert (type(error), getattr(error, "scope", None)) == (kind, scope)
    if scope is not None:
        assert provider.explain(error.code or "").blocks is scope


@pytest.mark.parametrize(
    ("code", "scope"), [(410, Scope.COUNTRY), (412, Scope.COUNTRY), (413, Scope.ACCOUNT)]
)
def test_report_tells_what_it_is_about(stand: Stand, code: int, scope: Scope) -> None:
    fields = {"type": "recipient_delivery_report_sms", "batch_id": BATCH, "status": "Failed"}
    body = json.dumps({**fields, "client_reference": str(ATTEMPT), "code": code}).encode()
    provider = sinch(stand)
    report = provider.parse(Callback("sinch", "", body, datetime.now(UTC)))
    fact = provider.explain(report.error_code or "")
    assert (fact.retryable, fact.blocks) == (False, scope)


def test_unroutable_number_has_no_route(stand: Stand) -> None:
    assert sinch(stand).explain("402").no_route


@pytest.mark.parametrize(("status", "body"), [(401, b""), (403, word("blocked_account"))])
def test_account_fault_tells_nothing_of_a_fetched_message(
    stand: Stand, status: int, body: object
) -> None:
    """As "refused" it would be recorded as a message that Sinch does not have."""
    stand.answer(status, body)
    for call in (
        lambda: sinch(stand).accounts["default"].fetch(ATTEMPT, BATCH),
        lambda: sinch(stand).accounts["default"].cancel(ATTEMPT, BATCH),
        lambda: sinch(stand).accounts["default"].find(WANTED),
    ):
        assert type(failure(call)) is NotAccepted


def test_unknown_batch_is_no_account_fault(stand: Stand) -> None:
    stand.answer(404, b"")
    assert type(failure(lambda: sinch(stand).accounts["default"].fetch(ATTEMPT, BATCH))) is Refused


def test_retry_after_of_a_busy_plan_is_kept(stand: Stand) -> None:
    stand.answer(429, b"")
    stand.headers["Retry-After"] = "30"
    error = failure(lambda: sinch(stand).accounts["default"].send(PLAIN))
    assert isinstance(error, NotAccepted)
    assert error.retry_after == 30.0
