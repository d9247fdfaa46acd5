"""Every listed code is explained, and a resend is advised only if it can succeed."""

import pytest

from service.providers.sinch.errors import ERRORS, UNKNOWN, explain

# Written out again rather than read from ERRORS: a slip in the table must meet a second opinion.
RETRYABLE = {"403", "404", "406", "417"}
PERMANENT = {
    *("402", "405", "407", "408", "409", "410", "411", "412", "413", "414", "415", "416", "418")
}


@pytest.mark.parametrize("code", sorted(RETRYABLE))
def test_temporary_error_is_retryable(code: str) -> None:
    assert explain(code).retryable


@pytest.mark.parametrize("code", sorted(PERMANENT))
def test_permanent_error_is_not_retryable(code: str) -> None:
    assert code in ERRORS
    assert not ERRORS[code].retryable


def test_both_lists_cover_every_numeric_code() -> None:
    assert {code for code in ERRORS if code.isdecimal()} == RETRYABLE | PERMANENT


@pytest.mark.parametrize("code", [code for code in ERRORS if not code.isdecimal()])
def test_refused_request_is_not_retryable(code: str) -> None:
    assert not ERRORS[code].retryable


@pytest.mark.parametrize("code", ["", "0", "419", "34", "99999", "syntax_something_new"])
def test_operator_codes_and_new_codes_are_permanent(code: str) -> None:
    assert explain(code) is UNKNOWN
    assert not UNKNOWN.retryable


@pytest.mark.parametrize("fact", [*ERRORS.values(), UNKNOWN])
def test_explanation_is_short_and_complete(fact: object) -> None:
    text = fact.explanation  # type: ignore[attr-defined]
    assert text.endswith(".")
    assert len(text) < 140
