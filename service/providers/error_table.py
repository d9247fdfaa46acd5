"""Load the error codes of a provider from its table `errors.csv`."""

import csv
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from service.domain.scope import Scope
from service.errors import ErrorFact

COLUMNS: Final = ("code", "retryable", "effect", "explanation")
_RETRYABLE: Final = {"yes": True, "no": False}
_BLOCKS: Final = {scope.value: scope for scope in (Scope.ACCOUNT, Scope.COUNTRY, Scope.SENDER)}
OPTED_OUT: Final = "opted_out"
NO_ROUTE: Final = "no_route"
# What an error means beyond its message. An empty cell: nothing.
EFFECTS: Final = ("", *_BLOCKS, OPTED_OUT, NO_ROUTE)


def load(path: Path) -> Mapping[str, ErrorFact]:
    """Return the fact of each code. Raises ValueError for a row that is not valid."""
    with path.open(encoding="utf-8", newline="") as file:
        return {row["code"]: _fact(row, path) for row in csv.DictReader(file)}


def _fact(row: Mapping[str, str], path: Path) -> ErrorFact:
    effect, retryable = row["effect"], _RETRYABLE.get(row["retryable"])
    if retryable is None or effect not in EFFECTS:
        raise ValueError(
            f"{path.name}, code {row['code']}: retryable must be yes or no, and effect one of "
            f"{', '.join(filter(None, EFFECTS))}, or empty"
        )
    return ErrorFact(
        row["explanation"],
        retryable,
        opted_out=effect == OPTED_OUT,
        blocks=_BLOCKS.get(effect),
        no_route=effect == NO_ROUTE,
    )
