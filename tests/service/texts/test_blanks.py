"""Texts without a visible character are blank."""

import pytest

from service.texts.blanks import is_blank


@pytest.mark.parametrize(
    "text",
    [
        "",
        " \t\r\n",
        "\u00a0\u2003\u3000",
        "\u200b\u200d\u2060\ufeff",
        "\u2800\u3164\uffa0\u115f",
        "\u034f\ufe0f\U000e0101",
        "\u00ad\u202e\u2028",
        "\x01\x7f",
    ],
)
def test_invisible_text_is_blank(text: str) -> None:
    assert is_blank(text)


@pytest.mark.parametrize("text", [" . ", "\u200b0", "\U0001f600", "\u0301", "\ue000", "\U0003fffd"])
def test_visible_text_is_not_blank(text: str) -> None:
    assert not is_blank(text)
