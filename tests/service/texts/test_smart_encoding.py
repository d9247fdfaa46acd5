"""Look-alikes are replaced as the provider's table says, and nothing else."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.texts.segments import estimate
from service.texts.smart_encoding import smart_encoded


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("It\u2019s \u201cfine\u201d", 'It\'s "fine"'),
        ("\u00abici\u00bb \u201ela\u201c `x\u00b4", '"ici" "la" \'x\''),
        ("a\u2013b\u2014c\u2022d\u2026", "a-b-c-d..."),
        ("\uff21\uff11\uff01\uff5b\uff5d\uff3b\uff3e\uff5e", "A1!{}[^~"),
        ("\u1d00\u0299\u1d22", "ABZ"),
        ("\u203c\u3002\u3001\u204e\ua789", "!!.,*:"),
        # Each angle quotation mark becomes the bracket that it looks like.
        ("\u2039a\u203a", "<a>"),
        # A space of any width is one space.
        ("1\u00a0000\u202f000\tm\u3000\u2003", "1 000 000 m  "),
        ("zero\u200bwidth\ufeff\u2060", "zerowidth"),
        ("\u00bd 1\u00bd 1\u00be\u00bc", "1/2 1 1/2 1 3/41/4"),
        ("6\u00f72", "6/2"),
        # Accents are composed first, and stay.
        ("e\u0301 n\u0303 a\u0302", "\u00e9 \u00f1 \u00e2"),
        ("x\u0302", "x^"),
        # Not in the table: emoji, other scripts, letters with accents, full-width small letters.
        ("\U0001f600 \u0142\u00e7 \u041f\u0440\u0438 \u4f60\u597d", None),
        ("\U0001f468\u200d\U0001f469\u200d\U0001f467", None),
        ("\uff41\uff42\uff40", None),
    ],
)
def test_characters_are_replaced_with_gsm_7(text: str, expected: str | None) -> None:
    assert smart_encoded(text) == (text if expected is None else expected)


def test_curly_apostrophe_costs_no_extra_segments() -> None:
    text = "a" * 159 + "\u2019"
    assert estimate(text) == (3, "ucs-2")
    assert estimate(smart_encoded(text)) == (1, "gsm-7")


@given(st.text())
def test_encoding_twice_changes_nothing(text: str) -> None:
    once = smart_encoded(text)
    assert smart_encoded(once) == once


@given(st.text(st.characters(codec="ascii", exclude_characters="`", exclude_categories=["Cc"])))
def test_plain_text_is_not_changed(text: str) -> None:
    assert smart_encoded(text) == text
