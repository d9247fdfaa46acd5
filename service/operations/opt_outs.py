"""Opt-outs for operators: search, begin and end."""

from collections.abc import Sequence
from typing import Final, NamedTuple

from service.addresses import UnusableAddress, addresses_of, recipient, service_or_sender
from service.components import components
from service.errors import Invalid, NotFound
from service.models import OptOut
from service.observability import events
from service.operations.conversation import named
from service.opt_outs import change
from service.queries import opt_out_search
from service.queries.opt_outs import Pair

REASON: Final = "operator"
EVERY: Final = "*"  # sender
# Opt-outs of one person: one for each sender.
_MAX_OF_PERSON: Final = 200


class OptOutPage(NamedTuple):
    """Opt-outs, and the one behind which the next page starts; None on the last page."""

    opt_outs: Sequence[OptOut]
    next: Pair | None


def read_opt_outs(number: str, after: Pair | None, limit: int) -> OptOutPage:
    """Return the opt-outs of a number, or without a number a page of all."""
    if number:
        of_person = opt_out_search.of_recipient(addresses_of(named(number)), _MAX_OF_PERSON)
        return OptOutPage(of_person, None)
    rows = opt_out_search.page(after, limit + 1)
    if len(rows) <= limit:
        return OptOutPage(rows, None)
    last = rows[limit - 1]
    return OptOutPage(rows[:limit], Pair(last.to, last.sender, last.provider))


def begin(number: str, sender: str, operator: str) -> str:
    """Begin an opt-out from a sender, or from every sender without one; return the number.

    Raises Invalid with what is wrong.
    """
    region = components().settings.default_region
    try:
        person = recipient(number, region)
        chosen = service_or_sender(sender, region) if sender else None
    except UnusableAddress as error:
        raise Invalid(f"the number or the sender {error}") from None
    change.begin(person, chosen, reason=REASON, by=_by(operator))
    events.operator_action(operator, "opt_out_begun")
    return person


def end(number: str, sender: str, operator: str) -> None:
    """End the opt-out of a number from a sender; `*` is the one from every sender.

    Raises NotFound if there is none.
    """
    number_ended = change.end(
        number, None if sender == EVERY else sender, reason=REASON, by=_by(operator)
    )
    if not number_ended:
        raise NotFound("there is no such opt-out any more; reload the page")
    events.operator_action(operator, "opt_out_ended", opt_outs=number_ended)


def _by(operator: str) -> str:
    return f"operator {operator}"
