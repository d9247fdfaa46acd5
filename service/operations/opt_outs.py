"""Opt-outs for operators: search, begin and end."""

from collections.abc import Sequence
from typing import Final, NamedTuple

from service.addresses import addresses_of, number_of
from service.errors import NotFound
from service.models import OptOut
from service.observability import events
from service.operations.persons import named
from service.opt_outs import change
from service.queries import opt_out_lists
from service.queries.opt_outs import ALL, Pair, person_of

REASON: Final = "operator"


class OptOutPage(NamedTuple):
    """Opt-outs, and the one behind which the next page starts; None on the last page."""

    opt_outs: Sequence[OptOut]
    next: Pair | None


def read_opt_outs(number: str, after: Pair | None, limit: int) -> OptOutPage:
    """Return the opt-outs of a number, or without a number a page of all."""
    if number:
        return OptOutPage(of_person(named(number)), None)
    rows = opt_out_lists.page(limit + 1, after)
    if len(rows) <= limit:
        return OptOutPage(rows, None)
    last = rows[limit - 1]
    return OptOutPage(rows[:limit], Pair(last.to, last.sender, last.provider))


def of_person(person: str) -> list[OptOut]:
    """Return the opt-outs that can suppress messages to an address, on every channel of a number.

    That of a number from every sender counts on each of its channels.
    """
    people = {person_of(address) for address in addresses_of(person)}
    rows = opt_out_lists.of_person(people | {number_of(person)})
    return [row for row in rows if row.to in people or row.sender == ALL]


def begin(number: str, sender: str, operator: str) -> None:
    """Begin an opt-out from a sender, or from every sender without one. Raises Invalid."""
    change.begin(number, sender or None, reason=REASON, by=_by(operator))
    events.operator_action(operator, "opt_out_begun")


def end(number: str, sender: str, operator: str) -> None:
    """End the opt-out of a number from a sender; `*` is the one from every sender.

    Raises Invalid, and NotFound if there is none.
    """
    ended = change.end(number, sender, reason=REASON, by=_by(operator))
    if not ended:
        raise NotFound("there is no such opt-out any more; reload the page")
    events.operator_action(operator, "opt_out_ended", opt_outs=ended)


def _by(operator: str) -> str:
    return f"operator {operator}"
