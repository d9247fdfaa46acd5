"""Settings of inbound messages: words of other languages."""

import pytest

from service.config.settings import Settings
from service.domain.keywords import Keyword, keyword_in
from tests.service.config.test_settings import GOOD, problems


def test_words_of_the_settings_join_those_that_always_count() -> None:
    settings = Settings.load({**GOOD, "STOP_WORDS": " ARRÊT , nicht mehr,", "START_WORDS": "JA"})
    read = [keyword_in(text, settings.opt_out_words) for text in ("Arrêt!", "NICHT  MEHR", "stop")]
    assert read == [Keyword.STOP] * 3
    assert keyword_in("ja", settings.opt_out_words) is Keyword.START


@pytest.mark.parametrize(
    ("changes", "setting", "word"),
    [
        ({"START_WORDS": "ja,Stop"}, "START_WORDS", "stop"),
        ({"STOP_WORDS": "yes"}, "STOP_WORDS", "yes"),
        ({"STOP_WORDS": "nein", "HELP_WORDS": "NEIN"}, "HELP_WORDS", "nein"),
    ],
)
def test_word_with_two_meanings_is_refused(
    changes: dict[str, str], setting: str, word: str
) -> None:
    text = problems(**changes)
    assert f"{setting}: has {word}" in text


@pytest.mark.parametrize("value", ["!!,arret", "x" * 41])
def test_text_that_is_no_word_is_refused(value: str) -> None:
    assert "STOP_WORDS: must be words" in problems(STOP_WORDS=value)
