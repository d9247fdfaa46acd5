"""Claims that a run checks, with their measured values."""

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

_EXAMPLES = 3


class Claim(NamedTuple):
    """A claim, its measured value, and whether it holds; None: a value that is only shown."""

    name: str
    value: str
    holds: bool | None = None
    examples: Sequence[str] = ()


class Result(NamedTuple):
    """Result of a run."""

    claims: list[Claim]
    totals: Counter[str]
    audit: str
    seconds: float

    def holds(self) -> bool:
        """Report whether no claim is broken."""
        return all(claim.holds is not False for claim in self.claims)


def none(name: str, broken: Sequence[Any], describe: Callable[[Any], str] = str) -> Claim:
    """Return the claim that nothing is broken, else with examples."""
    return Claim(name, f"{len(broken):,}", not broken, [*map(describe, broken[:_EXAMPLES])])
