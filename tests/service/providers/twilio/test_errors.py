"""Every listed code is explained, and a resend is advised only if it can succeed."""

import pytest

from service.providers.twilio.errors import ERRORS, UNKNOWN, explain


def _codes(text: str) -> set[str]:
    return set(text.split())


# Written out again rather than read from ERRORS: a slip in the table must meet a second opinion.
RETRYABLE = _codes(
    """
    14107 20429 21611 21730
    20162 20409 70005
    30001 30003 30008 30012 30017 30020 30021 30022 30023 30024 30027 30035 30036 30047 30450 30454
    30500 30610 30615
    35125
    60005
    63009 63010 63012 63017 63018 63019 63023 63036 63037 63038 63039 63049
    """
)
PERMANENT = _codes(
    """
    20003 20404 20500 20503
    21211 21212 21265 21266 21408
    21601 21602 21603 21604 21606 21608 21609 21610 21612 21614 21617 21619 21620 21621 21624 21635
    21654 21655 21656 21659 21701 21702 21703 21704 21705 21910
    30002 30004 30005 30006 30007 30009 30010 30011 30018 30019 30032 30033 30034 30037 30038 30039
    30042 30410 30453
    35111 35114 35115 35117 35118
    63001 63003 63005 63007 63013 63014 63015 63016 63021 63024 63026 63032 63033
    """
)
UNCERTAIN = {"20500", "20503", "20504", "30410"}


@pytest.mark.parametrize("code", sorted(RETRYABLE))
def test_temporary_error_is_retryable(code: str) -> None:
    """Load, outages, an unreachable phone: the same message can still arrive."""
    fact = explain(code)

    assert fact is not None
    assert fact.retryable


@pytest.mark.parametrize("code", sorted(PERMANENT))
def test_permanent_error_is_not_retryable(code: str) -> None:
    """A refusal, a wrong number or a wrong setting does not change with a resend."""
    assert code in ERRORS
    assert not ERRORS[code].retryable


@pytest.mark.parametrize("code", sorted(UNCERTAIN))
def test_uncertain_outcome_is_explained_as_such(code: str) -> None:
    """If a resend could deliver twice, the explanation warns the person who decides."""
    assert "may have arrived" in ERRORS[code].explanation


def test_opt_out_is_not_retryable() -> None:
    """A message to a recipient who said stop may be illegal."""
    assert not ERRORS["21610"].retryable
    assert "Never resend" in ERRORS["21610"].explanation


def test_resend_is_advised_for_no_other_code() -> None:
    """A wrong "retryable" costs a second message; a code must be put into the set deliberately."""
    assert {code for code, fact in ERRORS.items() if fact.retryable} == RETRYABLE


@pytest.mark.parametrize("code", ["99999", "30999", "", "delivered"])
def test_unknown_code_is_permanent(code: str) -> None:
    """Twilio's codes are not a stable interface: an unknown code must not cause a resend."""
    assert explain(code) is UNKNOWN
    assert not UNKNOWN.retryable


def test_explanations_are_one_short_line_of_sentences() -> None:
    """Users see it unchanged: no placeholders, no line breaks, a full stop."""
    for explanation in {fact.explanation for fact in [*ERRORS.values(), UNKNOWN]}:
        assert explanation == explanation.strip()
        assert explanation.endswith("."), explanation
        assert 20 < len(explanation) < 140, explanation
        assert not set(explanation) & set("{}\r\n"), explanation


def test_codes_are_numbers_in_ascending_order() -> None:
    """So the place of a new code is easy to find."""
    codes = [int(code) for code in ERRORS]
    assert codes == sorted(codes)
