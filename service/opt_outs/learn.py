"""Learns from status reports who opted out of messages from a sender."""

from collections.abc import Iterable, Iterator, Mapping
from operator import attrgetter
from typing import Any, Final
from uuid import UUID

from service.components import components
from service.domain.report import StatusReport
from service.domain.status import FAILURES, SUCCESSES
from service.providers.sandbox import SANDBOX
from service.queries import opt_outs
from service.queries.attempts import AttemptRef
from service.queries.opt_outs import Change

PROVIDER: Final = "provider"


def learn_opt_outs(entries: Iterable[tuple[Any, StatusReport, AttemptRef | None]]) -> None:
    """Store the opt-outs that ledger entries tell of, and delete those that a delivery disproves.

    An entry is an identity, a report and the attempt that it is about. Part of the transaction that
    records them. Our own verdicts name no attempt and say nothing about a recipient; neither does
    the sandbox.
    """
    refused, reached = dict[UUID, StatusReport](), set[UUID]()
    for _, report, owner in entries:
        attempt_id = owner.id if owner else None
        if attempt_id is None or report.provider == SANDBOX:
            continue
        if report.status in SUCCESSES:
            reached.add(attempt_id)
        elif report.status in FAILURES and _opted_out(report):
            refused[attempt_id] = max(
                report, refused.get(attempt_id, report), key=attrgetter("received_at")
            )
    if refused:
        opt_outs.change(_changes(refused))
    if reached:
        opt_outs.delete_contradicted(reached)


def _opted_out(report: StatusReport) -> bool:
    code = report.error_code
    return code is not None and components().explain(report.provider, code).opted_out


def _changes(refused: Mapping[UUID, StatusReport]) -> Iterator[Change]:
    for attempt_id, pair in opt_outs.pairs(refused).items():
        report = refused[attempt_id]
        yield Change(pair, True, report.received_at, PROVIDER, PROVIDER, report.error_code)
