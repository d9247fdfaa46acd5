"""Twilio's codes about the account, the sender or the country, in answers and in callbacks.

The table repeats the judgement about each code by hand, as a second opinion to `errors.csv`.
"""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any, Final
from urllib.parse import urlencode
from uuid import UUID

import pytest

from service.domain.scope import Scope
from service.errors import (
    Blocked,
    ErrorFact,
    NoRoute,
    NotAccepted,
    OutcomeUnknown,
    ProviderError,
    Refused,
)
from service.providers.base import Callback, LookUpQuery, Outbound
from service.providers.twilio import Twilio
from tests.conftest import ACCOUNT, make_settings
from tests.stand import Stand

ATTEMPT = UUID("0198d1c5-0000-7000-8000-000000000001")
SID = "SM00000000000000000000000000000001"
PLAIN = Outbound(ATTEMPT, 1, "+14155552671", "+15005550006", None, "Hello", *[None] * 5)
WANTED = LookUpQuery(ATTEMPT, PLAIN.to, PLAIN.sender, None, PLAIN.body, datetime.min, datetime.max)

Kind = type[ProviderError]

# Answers to a send: the HTTP statuses with which each code is tried, the error and its scope.
# Where Twilio does not document a status, several are tried: the code decides, not the status.
_ANY: Final = (400, 401, 403, 404)
ANSWERS: Final[dict[str, tuple[tuple[int, ...], Kind, Scope | None]]] = {
    "20003": ((401,), Blocked, Scope.ACCOUNT),
    "20005": (_ANY, Blocked, Scope.ACCOUNT),
    "10001": (_ANY, Blocked, Scope.ACCOUNT),
    "90010": (_ANY, Blocked, Scope.ACCOUNT),
    "20403": ((403,), Blocked, Scope.ACCOUNT),
    "70051": (_ANY, Blocked, Scope.ACCOUNT),
    "20006": (_ANY, Blocked, Scope.ACCOUNT),
    "20008": (_ANY, Blocked, Scope.ACCOUNT),
    "20010": (_ANY, Blocked, Scope.ACCOUNT),
    "20429": ((429, 400), NotAccepted, None),
    "20500": ((500,), OutcomeUnknown, None),
    "20503": ((503,), OutcomeUnknown, None),
    "20404": ((404,), Blocked, Scope.ACCOUNT),
    "21608": ((400, 403), Blocked, Scope.ACCOUNT),
    "21408": ((400, 403), Blocked, Scope.COUNTRY),
    "21606": ((400,), Blocked, Scope.SENDER),
    "21659": ((400,), Blocked, Scope.SENDER),
    "21660": ((400,), Blocked, Scope.SENDER),
    "21212": ((400,), Blocked, Scope.SENDER),
    "21603": ((400,), Blocked, Scope.ACCOUNT),
    "21609": ((400,), Blocked, Scope.ACCOUNT),
    "21701": ((404,), Blocked, Scope.SENDER),
    "21705": ((400,), Blocked, Scope.SENDER),
    "21704": ((400,), Blocked, Scope.SENDER),
    "21703": ((400,), NoRoute, None),
    "21611": ((429,), Blocked, Scope.SENDER),
    "21612": ((400,), NoRoute, None),
    "21610": ((400,), Refused, None),
    "21211": ((400,), Refused, None),
    "21614": ((400,), Refused, None),
    "21635": ((400,), Refused, None),
    "21617": ((400,), Refused, None),
    "63001": ((400, 401), Blocked, Scope.SENDER),
    "63002": ((400,), Blocked, Scope.SENDER),
    "63007": ((400,), Blocked, Scope.SENDER),
    "63020": ((400, 402), Blocked, Scope.SENDER),
    "63051": ((400,), Blocked, Scope.SENDER),
    "63017": ((400, 429), NotAccepted, None),
    "63018": ((400, 429), NotAccepted, None),
    "63038": ((400, 429), NotAccepted, None),
    "63101": ((400,), Blocked, Scope.SENDER),
    "63102": ((400,), Blocked, Scope.SENDER),
    "63112": ((400,), Blocked, Scope.SENDER),
    # Not in the table: a code that is new to us says nothing of the account.
    "29999": (_ANY[:1] + _ANY[2:], Refused, None),
}
# Codes of callbacks: what a resend can do, and which scope they are about.
REPORTS: Final[dict[str, tuple[bool, Scope | None]]] = {
    "21610": (False, None),
    "30001": (True, None),
    "30002": (False, Scope.ACCOUNT),
    "30018": (False, Scope.SENDER),
    "30024": (True, Scope.SENDER),
    "30032": (False, Scope.SENDER),
    "30033": (False, Scope.SENDER),
    "30034": (False, Scope.SENDER),
    "30035": (True, Scope.SENDER),
    "30022": (True, None),
    "30023": (True, None),
    "30027": (True, None),
    "30037": (False, Scope.ACCOUNT),
    "30450": (True, None),
    "30453": (False, None),
    "30047": (True, None),
    "30610": (True, None),
    "63020": (False, Scope.SENDER),
    "63051": (False, Scope.SENDER),
}


def twilio(stand: Stand) -> Twilio:
    changes = {"TWILIO_API_BASE_URL": stand.url, "TWILIO_READ_TIMEOUT": "0.5"}
    return Twilio(make_settings("sqlite:///unused.db", "redis://unused", **changes))


def refuse(stand: Stand, status: int, code: str) -> None:
    more_info = f"https://www.twilio.com/docs/errors/{code}"
    body = {"code": int(code), "message": "No.", "more_info": more_info, "status": status}
    stand.answer(status, body)


def failure(call: Callable[[], object]) -> ProviderError:
    with pytest.raises(ProviderError) as caught:
        call()
    return caught.value


def rows() -> Iterator[Any]:
    for code, (statuses, kind, scope) in ANSWERS.items():
        for status in statuses:
            yield pytest.param(status, code, kind, scope, id=f"{status}-{code}")


@pytest.mark.parametrize(("status", "code", "kind", "scope"), list(rows()))
def test_answer_to_a_send_is_classified_by_its_code(
    stand: Stand, status: int, code: str, kind: Kind, scope: Scope | None
) -> None:
    refuse(stand, status, code)
    error = failure(lambda: twilio(stand).accounts["default"].send(PLAIN))
    assert (type(error), error.code) == (kind, code)
    assert getattr(error, "scope", None) is scope


@pytest.mark.parametrize(("code", "fact"), REPORTS.items())
def test_callback_tells_what_it_is_about(
    stand: Stand, code: str, fact: tuple[bool, Scope | None]
) -> None:
    fields = {"AccountSid": ACCOUNT, "MessageSid": SID, "MessageStatus": "undelivered"}
    body = urlencode({**fields, "ErrorCode": code}).encode()
    provider = twilio(stand)
    report = provider.parse(Callback("twilio", str(ATTEMPT), body, datetime.now(UTC)))
    explained = provider.explain(report.error_code or "")
    assert (explained.retryable, explained.blocks) == fact


def test_opt_out_is_never_sent_by_another_sender(stand: Stand) -> None:
    fact: ErrorFact = twilio(stand).explain("21610")
    assert (fact.opted_out, fact.blocks, fact.no_route) == (True, None, False)


@pytest.mark.parametrize("code", ["21612", "21703"])
def test_missing_route_is_explained_as_such(stand: Stand, code: str) -> None:
    assert twilio(stand).explain(code).no_route


@pytest.mark.parametrize(("status", "code"), [(401, "20003"), (403, "20005"), (400, "21606")])
def test_account_fault_tells_nothing_of_a_fetched_message(
    stand: Stand, status: int, code: str
) -> None:
    """As "refused" it would be recorded as a message that Twilio does not have."""
    refuse(stand, status, code)
    for call in (
        lambda: twilio(stand).accounts["default"].fetch(ATTEMPT, SID),
        lambda: twilio(stand).accounts["default"].cancel(ATTEMPT, SID),
        lambda: twilio(stand).accounts["default"].find(WANTED),
    ):
        assert type(failure(call)) is NotAccepted


def test_unknown_sid_is_no_account_fault(stand: Stand) -> None:
    refuse(stand, 404, "20404")
    for call in (
        lambda: twilio(stand).accounts["default"].fetch(ATTEMPT, SID),
        lambda: twilio(stand).accounts["default"].cancel(ATTEMPT, SID),
    ):
        assert type(failure(call)) is Refused


def test_retry_after_of_a_busy_account_is_kept(stand: Stand) -> None:
    refuse(stand, 429, "20429")
    stand.headers["Retry-After"] = "30"
    error = failure(lambda: twilio(stand).accounts["default"].send(PLAIN))
    assert isinstance(error, NotAccepted)
    assert error.retry_after == 30.0
