"""Load the error codes of a provider from its table `errors.csv`."""

import csv
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

from service.domain.scope import Scope
from service.errors import ErrorFact

_RETRYABLE: Final = {"yes": True, "no": False}
_BLOCKS: Final = {scope.value: scope for scope in (Scope.ACCOUNT, Scope.COUNTRY, Scope.SENDER)}
_OPTED_OUT: Final = "opted_out"
_NO_ROUTE: Final = "no_route"
# What a code says beyond its message. An empty cell: nothing.
_EFFECTS: Final = ("", *_BLOCKS, _OPTED_OUT, _NO_ROUTE)


def load(path: Path) -> Mapping[str, ErrorFact]:
    """Return the fact of each code. Raises ValueError for a row that is not valid.

    A row is about one code, or about a range of numbers like 30700-30799.
    """
    with path.open(encoding="utf-8", newline="") as file:
        return {code: fact for row in csv.DictReader(file) for code, fact in _facts(row, path)}


def _facts(row: Mapping[str, str], path: Path) -> Iterator[tuple[str, ErrorFact]]:
    """Yield the codes of a row; those of a range share one fact, to save memory."""
    effect, retryable = row["effect"], _RETRYABLE.get(row["retryable"])
    if retryable is None or effect not in _EFFECTS:
        raise ValueError(
            f"{path.name}, code {row['code']}: retryable must be yes or no, and effect one of "
            f"{', '.join(filter(None, _EFFECTS))}, or empty"
        )
    fact = ErrorFact(
        row["explanation"],
        retryable,
        opted_out=effect == _OPTED_OUT,
        blocks=_BLOCKS.get(effect),
        no_route=effect == _NO_ROUTE,
    )
    first, _, last = row["code"].partition("-")
    if last:
        yield from ((str(code), fact) for code in range(int(first), int(last) + 1))
    else:
        yield first, fact
