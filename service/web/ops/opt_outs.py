"""The page of opt-outs: search, begin and end."""

from typing import Final

from flask import flash, g, redirect, render_template, request, url_for
from werkzeug.wrappers import Response

from service.database.replica import from_replica
from service.errors import ClientError
from service.operations import opt_outs as operations
from service.queries.opt_outs import Pair
from service.web.ops.blueprint import blueprint
from service.web.ops.formatting import entered, explained

_PAGE: Final = 50


@blueprint.get("/opt-outs")
@from_replica()
def opt_outs() -> str:
    """List the opt-outs of a number (`q`), or all of them by number."""
    query = entered(request.args.get("q", ""))
    after = [entered(each) for each in request.args.getlist("after")]
    page = operations.read_opt_outs(query, Pair(*after) if len(after) == 3 else None, _PAGE)
    return render_template("ops/opt_outs.html", query=query, page=page)


@blueprint.post("/opt-outs/begin")
def begin_opt_out() -> Response:
    """Begin an opt-out from one sender or from every sender."""
    number, sender = (entered(request.form.get(name, "")) for name in ("number", "sender"))
    try:
        operations.begin(number, sender, g.operator)
    except ClientError as error:
        return _failed(error, number)
    flash(f"{number} gets no more messages from {sender or 'any sender'}.", "good")
    return redirect(url_for("ops.opt_outs", q=number), 303)


@blueprint.post("/opt-outs/end")
def end_opt_out() -> Response:
    """End one opt-out."""
    number, sender = (entered(request.form.get(name, "")) for name in ("number", "sender"))
    try:
        operations.end(number, sender, g.operator)
    except ClientError as error:
        return _failed(error, number)
    flash(
        "The opt-out is ended. A block of the provider stays until the person texts START.", "good"
    )
    return redirect(url_for("ops.opt_outs", q=number), 303)


def _failed(error: ClientError, number: str) -> Response:
    flash(explained(error), "bad")
    return redirect(url_for("ops.opt_outs", q=number or None), 303)
