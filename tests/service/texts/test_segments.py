"""Segments are counted as the standard says."""

import pytest

from service.texts.segments import segments


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
def test_a_text_takes_as_many_segments_as_its_alphabet_needs(text: str | None, count: int) -> None:
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
