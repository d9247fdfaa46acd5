"""Every listed code is explained, and a resend is advised only if it can succeed."""

import pytest

from service.providers.sinch.errors import ERRORS, UNKNOWN, explain

# Written out again rather than read from ERRORS: a slip in the table must meet a second opinion.
RETRYABLE = {"403", "404", "406", "417"}
PERMANENT = {
    *("402", "405", "407", "408", "409", "410", "411", "412", "413", "414", "415", "416", "418")
}
# Codes of operators that Sinch calls temporary. It calls an exceeded quota (64) permanent, and
# errors about reports and look-ups (350, 370) temporary; there the message may have arrived.
TEMPORARY = {
    *(4, 14, 18, 40, 50, 51, 52, 64, 70, 71, 73, 74, 75, 76, 101, 102, 106, 107, 109, 111, 112),
    *(114, 153, 155, 158, 159, 161, 162, 164, 200, 201, 202, 203, 207, 210, 211, 212, 214, 215),
    *(217, 322, 360, 361, 362, 399),
}


@pytest.mark.parametrize("code", sorted(RETRYABLE))
def test_temporary_error_is_retryable(code: str) -> None:
    assert explain(code).retryable


@pytest.mark.parametrize("code", sorted(PERMANENT))
def test_permanent_error_is_not_retryable(code: str) -> None:
    assert code in ERRORS
    assert not ERRORS[code].retryable


def test_resend_is_advised_for_no_other_code() -> None:
    retryable = {code for code, fact in ERRORS.items() if fact.retryable}
    assert retryable == RETRYABLE | {str(code) for code in TEMPORARY}


@pytest.mark.parametrize("code", [code for code in ERRORS if not code.isdecimal()])
def test_refused_request_is_not_retryable(code: str) -> None:
    assert not ERRORS[code].retryable


@pytest.mark.parametrize("code", ["", "0", "419", "34", "500", "syntax_something_new"])
def test_operator_codes_and_new_codes_are_permanent(code: str) -> None:
    assert explain(code) is UNKNOWN
    assert not UNKNOWN.retryable


def test_explanations_are_short_and_complete() -> None:
    for text in {fact.explanation for fact in [*ERRORS.values(), UNKNOWN]}:
        assert text.endswith("."), text
        assert 20 < len(text) < 140, text
