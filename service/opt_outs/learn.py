"""Learn opt-outs from status reports: a failure can add one, a delivery can delete one."""

from collections.abc import Collection, Iterable
from datetime import datetime
from typing import Any
from uuid import UUID

from service.components import components
from service.domain.report import StatusReport
from service.domain.status import FAILURES, SUCCESSES
from service.providers.sandbox import NAME as SANDBOX
from service.queries import opt_outs


def learn(reports: Iterable[tuple[StatusReport, UUID | None]]) -> None:
    """Store opt-outs that these reports about attempts state; delete contradicted ones.

    Runs in the transaction that records the reports.
    """
    refused, delivered = list[tuple[StatusReport, UUID]](), set[UUID]()
    for report, attempt_id in reports:
        # Without an attempt it is our own decision; in the sandbox there are no recipients.
        if attempt_id is None or report.provider == SANDBOX:
            continue
        if report.status in SUCCESSES:
            delivered.add(attempt_id)
        elif report.status in FAILURES and _is_opt_out(report):
            refused.append((report, attempt_id))
    if refused:
        opt_outs.upsert(_rows(refused))
    if delivered:
        opt_outs.delete_contradicted(delivered)


def _is_opt_out(report: StatusReport) -> bool:
    if report.error_code is None:
        return False
    provider = components().providers.get(report.provider)
    return provider is not None and provider.explain(report.error_code).opted_out


def _rows(refused: Collection[tuple[StatusReport, UUID]]) -> list[dict[str, Any]]:
    """Return the rows to store: the latest report about each pair."""
    pairs, latest = opt_outs.pairs({attempt_id for _, attempt_id in refused}), {}
    for report, attempt_id in sorted(refused, key=_received_at):
        if attempt_id in pairs:
            latest[pairs[attempt_id]] = report
    return [
        {**pair._asdict(), "error_code": report.error_code, "since": report.received_at}
        for pair, report in latest.items()
    ]


def _received_at(refusal: tuple[StatusReport, UUID]) -> datetime:
    return refusal[0].received_at
