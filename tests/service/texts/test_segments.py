"""Segments are counted as the standard says."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.texts.segments import GSM_7, UCS_2, estimate, length, segments


@pytest.mark.parametrize(
    ("text", "count"),
    [
        (None, 1),
        ("", 1),
        ("a" * 160, 1),
        ("a" * 161, 2),
        ("a" * 306, 2),
        ("a" * 307, 3),
        ("€" * 80, 1),
        ("€" * 81, 2),
        ("ł" * 70, 1),
        ("ł" * 71, 2),
        ("ł" * 134, 2),
        ("ł" * 135, 3),
        ("\N{GRINNING FACE}" * 35, 1),
        ("\N{GRINNING FACE}" * 36, 2),
    ],
)
def test_segments_depend_on_the_alphabet_of_the_text(text: str | None, count: int) -> None:
    assert segments(text) == count


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("a" * 152 + "€" + "a" * 152, 3),  # 306 septets would fill two, but one is cut in half
        ("ł" * 66 + "\N{GRINNING FACE}" + "ł" * 66, 3),
    ],
)
def test_no_character_is_split_between_segments(text: str, count: int) -> None:
    assert segments(text) == count


FAMILY = "\U0001f468\u200d\U0001f469\u200d\U0001f467\u200d\U0001f466"  # 11 units


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", (1, GSM_7)),
        ("a\r\n" * 53, (1, GSM_7)),
        ("a\r\n" * 54, (2, GSM_7)),
        ("\u00c7" * 160, (1, GSM_7)),
        ("\u00e7" * 71, (2, UCS_2)),
        ("e\u0301" * 35, (1, UCS_2)),
        ("e\u0301" * 36, (2, UCS_2)),
        ("\U0001f600" * 35, (1, UCS_2)),
        # 33 pairs fill 66 of 67 units: the last unit of a part stays empty.
        ("\U0001f600" * 67, (3, UCS_2)),
        # Six graphemes of 11 units in a part: 66 units, and the seventh is not cut.
        (FAMILY * 6, (1, UCS_2)),
        (FAMILY * 12, (2, UCS_2)),
        ("ab" + FAMILY * 12, (3, UCS_2)),
        ("\U0001f1e9\U0001f1ea" * 17, (1, UCS_2)),
        ("\U0001f1e9\U0001f1ea" * 33, (3, UCS_2)),
        # A letter with more marks than a part holds has to be cut.
        ("x" + "\u0301" * 100, (2, UCS_2)),
        ("\u0142\r\n" * 45, (3, UCS_2)),
    ],
)
def test_grapheme_is_not_split_between_segments(text: str, expected: tuple[int, str]) -> None:
    assert estimate(text) == expected


PIECES = [*"a\u20ac\u0142\u0301\u200d\r\n", "\U0001f600", FAMILY]


@given(st.lists(st.sampled_from(PIECES), max_size=300).map("".join))
def test_estimate_has_room_for_all_code_units(text: str) -> None:
    """Whole graphemes may leave room at the end of a part, never more than their own length."""
    count, encoding = estimate(text)
    extended = sum(text.count(character) for character in "^{}\\[~]|\u20ac\f")
    units, alone, joined = (
        (len(text) + extended, 160, 153) if encoding == GSM_7 else (length(text), 70, 67)
    )
    least = 1 if units <= alone else -(-units // joined)
    assert least <= count <= max(least, 2 * least)
    assert estimate(text + "a").segments >= count


@pytest.mark.parametrize(
    ("text", "units"), [("", 0), ("abc", 3), ("\u0142", 1), ("\U0001f600", 2), (FAMILY, 11)]
)
def test_length_counts_utf_16_code_units(text: str, units: int) -> None:
    assert length(text) == units == len(text.encode("utf-16-le")) // 2
