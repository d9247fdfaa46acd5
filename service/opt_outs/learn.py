"""Heed: remember who opted out of hearing from a sender, as the provider tells it."""

from collections.abc import Iterable
from typing import Any
from uuid import UUID

from service.components import components
from service.domain.report import StatusReport
from service.domain.status import FAILURES, SUCCESSES
from service.providers.sandbox import NAME as TEST
from service.queries import opt_outs


def learn(said: Iterable[tuple[StatusReport, UUID | None]]) -> None:
    """Keep the opt-outs that these statements about attempts tell of, and drop those disproved.

    Part of the transaction in which the statements are written down.
    """
    refused, reached = list[tuple[StatusReport, UUID]](), set[UUID]()
    for report, attempt_id in said:
        if attempt_id is None or report.provider == TEST:
            continue  # a verdict of our own is no news, and tests are about nobody
        if report.status in SUCCESSES:
            reached.add(attempt_id)
        elif report.status in FAILURES and _opted_out(report):
            refused.append((report, attempt_id))
    if refused:
        opt_outs.upsert(_rows(refused))
    if reached:
        opt_outs.delete_contradicted(reached)


def _opted_out(report: StatusReport) -> bool:
    if report.error_code is None:
        return False
    provider = components().providers.get(report.provider)
    return provider is not None and provider.explain(report.error_code).opted_out


def _rows(refused: Iterable[tuple[StatusReport, UUID]]) -> list[dict[str, Any]]:
    """Return the rows to keep, the latest statement about each pair."""
    latest = {attempt: one for one, attempt in sorted(refused, key=lambda one: one[0].received_at)}
    rows = dict[opt_outs.Pair, dict[str, Any]]()
    for attempt, pair in opt_outs.pairs(latest).items():
        report = latest[attempt]
        row = {**pair._asdict(), "error_code": report.error_code, "since": report.received_at}
        known = rows.get(pair)
        rows[pair] = row if known is None else max(known, row, key=lambda one: one["since"])
    return list(rows.values())
