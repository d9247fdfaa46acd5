"""A test message: sent by an operator, followed live."""

from typing import Any

from flask import g, redirect, render_template, request, url_for
from uuid_utils.compat import uuid7
from werkzeug.wrappers import Response

from service.components import components
from service.errors import ClientError, Invalid
from service.operations import operator_actions
from service.web.api.drafts import check_idempotency_key, draft, real_providers
from service.web.ops.blueprint import blueprint

_FIELDS = ("to", "body", "from", "reference")


@blueprint.get("/test")
def test() -> str:
    """Show the form."""
    return _form({"body": "Test message. Nothing to do."})


@blueprint.post("/test")
def post_test() -> Response | tuple[str, int]:
    """Send it and lead to its timeline. The form's own key keeps a second click from a second SMS.

    It is accepted as any client's message is, with the same checks.
    """
    given = {name: text for name in _FIELDS if (text := request.form.get(name, "").strip())}
    try:
        key = check_idempotency_key(request.form.get("key", ""))
        wanted = draft(given, components().settings, real_providers(), key)
        message_id = operator_actions.send_test(wanted, g.operator)
    except ClientError as error:
        return _form(given, error), error.status
    return redirect(url_for("ops.message", message_id=message_id), 303)


def _form(given: dict[str, Any], error: ClientError | None = None) -> str:
    wrong = {one.field: one.message for one in error.errors} if isinstance(error, Invalid) else {}
    said = error.detail if error else None
    return render_template("ops/test.html", given=given, wrong=wrong, said=said, key=uuid7().hex)
