"""Every listed code has a plain explanation, and resending is advised only where it can help."""

import pytest

from service.providers.sinch.errors import ERRORS, UNKNOWN, explain

# Written out again rather than read from ERRORS: a slip in the table must meet a second opinion.
RETRYABLE = {"403", "404", "406", "417"}
PERMANENT = {
    *("402", "405", "407", "408", "409", "410", "411", "412", "413", "414", "415", "416", "418")
}


@pytest.mark.parametrize("code", sorted(RETRYABLE))
def test_a_passing_trouble_may_be_sent_again(code: str) -> None:
    assert explain(code).retryable


@pytest.mark.parametrize("code", sorted(PERMANENT))
def test_a_lasting_trouble_is_not_sent_again(code: str) -> None:
    assert code in ERRORS
    assert not ERRORS[code].retryable


def test_both_lists_cover_every_number() -> None:
    assert {code for code in ERRORS if code.isdecimal()} == RETRYABLE | PERMANENT


@pytest.mark.parametrize("code", [code for code in ERRORS if not code.isdecimal()])
def test_a_refused_request_would_be_refused_again(code: str) -> None:
    assert not ERRORS[code].retryable


@pytest.mark.parametrize("code", ["", "0", "419", "34", "99999", "syntax_something_new"])
def test_the_operators_own_and_new_codes_count_as_permanent(code: str) -> None:
    assert explain(code) is UNKNOWN
    assert not UNKNOWN.retryable


@pytest.mark.parametrize("fact", [*ERRORS.values(), UNKNOWN])
def test_an_explanation_is_short_and_whole(fact: object) -> None:
    text = fact.explanation  # type: ignore[attr-defined]
    assert text.endswith(".")
    assert len(text) < 140
