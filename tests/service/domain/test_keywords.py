"""Words with which people opt out and in, as people type them."""

import pytest

from service.domain.keywords import Keyword, keyword_in


@pytest.mark.parametrize(
    "text",
    [
        "STOP",
        "stop",
        " Stop \r\n",
        "STOP.",
        "Stop!",
        "\u201cSTOP\u201d",
        "\uff33\uff34\uff2f\uff30",
    ],
)
def test_stop_is_read_as_people_type_it(text: str) -> None:
    assert keyword_in(text) is Keyword.STOP


@pytest.mark.parametrize(
    "text",
    [None, "", " ", "STOP it", "please stop", "st op", "nonstop", "\U0001f6d1", "STOP " * 10_000],
)
def test_other_text_has_no_meaning(text: str | None) -> None:
    assert keyword_in(text) is None


@pytest.mark.parametrize(
    ("word", "keyword"),
    [
        *[(word, Keyword.STOP) for word in ("STOPALL", "UNSUBSCRIBE", "CANCEL", "END", "QUIT")],
        *[(word, Keyword.STOP) for word in ("REVOKE", "OPTOUT")],
        *[(word, Keyword.START) for word in ("START", "YES", "UNSTOP")],
        *[(word, Keyword.HELP) for word in ("HELP", "INFO")],
    ],
)
def test_words_of_twilio_always_count(word: str, keyword: Keyword) -> None:
    assert keyword_in(word) is keyword
