"""Send many failed messages again: a filter, the count, and then the button."""

import time
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from flask import flash, g, redirect, render_template, request, url_for
from werkzeug.wrappers import Response

from service.errors import ClientError, FieldError, Invalid
from service.operations import bulk_resend as bulk
from service.operations.bulk_resend import Limits, Result, Selection
from service.operations.operator_actions import by_operator
from service.web.ops.blueprint import blueprint
from service.web.ops.formatting import entered

# Of one request, which holds a thread. The command has no such limits.
_MAX_MESSAGES: Final = 10_000
_SECONDS: Final = 10.0
_FIELDS: Final = ("since", "until", "error_code", "client")
_DEFAULT_AGE: Final = timedelta(hours=1)


@blueprint.get("/resend")
def bulk_resend() -> str | tuple[str, int]:
    """Show the filter, and with a filter how many messages would be sent again."""
    fields = _fields(request.args)
    if "since" not in request.args:
        since = datetime.now(UTC) - _DEFAULT_AGE
        return _page({**fields, "since": f"{since:%Y-%m-%dT%H:%M}"})
    try:
        selection = _selection(fields)
        result = bulk.count(selection, by_operator(g.operator), _limits())
    except ClientError as error:
        return _page(fields, error=error), error.status
    fields["until"] = f"{selection.until:%Y-%m-%dT%H:%M:%S}"  # the form sends what was counted
    return _page(fields, result)


@blueprint.post("/resend")
def post_bulk_resend() -> Response | tuple[str, int]:
    """Send the counted messages again."""
    fields = _fields(request.form)
    try:
        result = bulk.run(_selection(fields), by_operator(g.operator), _limits())
    except ClientError as error:
        return _page(fields, error=error), error.status
    rest = " More remain: send them below, or use the command." if result.stopped else ""
    flash(f"Sent again: {result.sent}. Skipped: {sum(result.skipped.values())}.{rest}", "good")
    return redirect(url_for("ops.bulk_resend", **fields), 303)


def _fields(values: Mapping[str, str]) -> dict[str, Any]:
    return {name: entered(values.get(name, "")) for name in _FIELDS}


def _limits() -> Limits:
    return Limits(_MAX_MESSAGES, time.monotonic() + _SECONDS)


def _selection(fields: Mapping[str, str]) -> Selection:
    """Return the selection of a form. Raises Invalid with the wrong field."""
    since = _time("since", fields["since"])
    until = _time("until", fields["until"]) if fields["until"] else datetime.now(UTC)
    if until <= since:
        raise _invalid("until", "must be later than the first time")
    return Selection(since, until, fields["error_code"] or None, fields["client"] or None)


def _time(field: str, text: str) -> datetime:
    try:
        return datetime.fromisoformat(text).replace(tzinfo=UTC)
    except ValueError:
        raise _invalid(field, "must be a date and time such as 2026-12-24T09:00") from None


def _invalid(field: str, problem: str) -> Invalid:
    return Invalid(f"the field {field} {problem}", [FieldError(field, problem)])


def _page(
    fields: Mapping[str, str], result: Result | None = None, error: ClientError | None = None
) -> str:
    errors: Any = error.errors if error else ()
    return render_template(
        "ops/resend.html",
        fields=fields,
        result=result,
        errors={field_error.field: field_error.message for field_error in errors},
        error=error.detail if error else None,
    )
