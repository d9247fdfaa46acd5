"""Learns from status reports who opted out of messages from a sender."""

from collections.abc import Iterable, Iterator, Mapping
from operator import attrgetter
from typing import Any
from uuid import UUID

from service.components import components
from service.domain.opt_out import PROVIDER
from service.domain.report import StatusReport
from service.domain.status import FAILURES, SUCCESSES
from service.opt_outs.apply import apply
from service.providers.sandbox import SANDBOX
from service.queries import opt_out_evidence
from service.queries.attempts import AttemptRef
from service.queries.opt_outs import Change


def learn_opt_outs(entries: Iterable[tuple[Any, StatusReport, AttemptRef | None]]) -> None:
    """Begin the opt-outs that ledger entries tell of, and end those that a delivery disproves.

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
    if refused or reached:
        apply([*_refusals(refused), *_deliveries(reached)])


def _opted_out(report: StatusReport) -> bool:
    code = report.error_code
    return code is not None and components().explain(report.provider, code).opted_out


def _refusals(refused: Mapping[UUID, StatusReport]) -> Iterator[Change]:
    """Yield the changes of refused calls: as of the call, so that an opt-in after it counts."""
    for attempt_id, (pair, sent_at) in _evidence(refused):
        report = refused[attempt_id]
        at = min(sent_at, report.received_at)  # a provider may refuse what it should send later
        yield Change(pair, True, at, PROVIDER, PROVIDER, report.error_code)


def _evidence(refused: Mapping[UUID, StatusReport]) -> Iterable[tuple[UUID, opt_out_evidence.Sent]]:
    return opt_out_evidence.refused(refused).items() if refused else ()


def _deliveries(reached: set[UUID]) -> Iterator[Change]:
    for pair, sent_at in opt_out_evidence.contradicted(reached) if reached else ():
        yield Change(pair, False, sent_at, PROVIDER, PROVIDER)
