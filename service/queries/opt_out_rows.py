"""The columns of an opt-out that hold its state."""

from datetime import datetime
from typing import Any

from service.domain.opt_out import PROVIDER, Decision, OptOutState, Refusal
from service.models import OptOut


def state_of(row: OptOut) -> OptOutState:
    """Return the state of a row. An earlier version inserts rows without `refused_at`."""
    decision = None
    if row.active and row.reason != PROVIDER:
        decision = Decision(row.since, True, row.reason, row.changed_by)
    elif row.opted_in_at:
        decision = Decision(row.opted_in_at, False, row.reason, row.changed_by)
    by_provider = row.since if row.active and row.reason == PROVIDER else None
    refused_at = row.refused_at or by_provider
    refusal = Refusal(refused_at, row.error_code or "") if refused_at else None
    return OptOutState(decision, refusal)


def columns_of(state: OptOutState, ended_at: datetime | None = None) -> dict[str, Any]:
    """Return the columns of a state; `ended_at` is the time of a delivery that ended it."""
    decision, refusal = state
    shown = {"reason": PROVIDER, "changed_by": PROVIDER, "since": ended_at}
    if decision and (decision.begins or not refusal):
        shown = {
            "reason": decision.reason,
            "changed_by": decision.changed_by,
            "since": decision.at,
        }
    elif refusal:
        shown["since"] = refusal.at
    return {
        **shown,
        "active": state.active,
        "error_code": refusal.error_code if refusal else None,
        "opted_in_at": decision.at if decision and not decision.begins else None,
        "refused_at": refusal.at if refusal else None,
    }
