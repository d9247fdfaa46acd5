"""The tables of error codes are read as written, and a wrong row names itself."""

from pathlib import Path

import pytest

from service.domain.scope import Scope
from service.errors import ErrorFact
from service.providers import error_table

HEAD = "code,retryable,effect,explanation\n"


def load(path: Path, *rows: str) -> dict[str, ErrorFact]:
    file = path / "errors.csv"
    file.write_text(HEAD + "".join(f"{row}\n" for row in rows))
    return dict(error_table.load(file))


def test_row_becomes_a_fact(tmp_path: Path) -> None:
    facts = load(
        tmp_path,
        "1,yes,,Resend.",
        "2,no,country,Enable it.",
        "3,no,opted_out,Never.",
        "word,no,no_route,Other.",
    )
    assert facts == {
        "1": ErrorFact("Resend.", True),
        "2": ErrorFact("Enable it.", False, blocks=Scope.COUNTRY),
        "3": ErrorFact("Never.", False, opted_out=True),
        "word": ErrorFact("Other.", False, no_route=True),
    }


def test_range_covers_its_first_and_last_code(tmp_path: Path) -> None:
    assert list(load(tmp_path, "7-9,no,sender,Register it.")) == ["7", "8", "9"]


@pytest.mark.parametrize("row", ["5,maybe,,Text.", "5,no,provider,Text.", "5,,,Text."])
def test_wrong_row_is_refused_by_its_code(tmp_path: Path, row: str) -> None:
    with pytest.raises(ValueError, match="code 5: retryable must be yes or no"):
        load(tmp_path, row)
