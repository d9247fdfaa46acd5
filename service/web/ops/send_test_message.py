"""A form that sends a test message."""

from typing import Any, Final

from flask import g, redirect, render_template, request, url_for
from uuid_utils.compat import uuid7
from werkzeug.wrappers import Response

from service.components import components
from service.errors import ClientError, Invalid
from service.operations import operator_actions
from service.web.api.drafts import check_idempotency_key, draft
from service.web.ops.blueprint import blueprint

_FIELDS: Final = ("to", "body", "from", "reference")


@blueprint.get("/test")
def test() -> str:
    """Show the form."""
    return _form({"body": "Test message. Nothing to do."})


@blueprint.post("/test")
def post_test() -> Response | tuple[str, int]:
    """Accept the message as a client's post, with the same checks, and show its timeline.

    The form carries an idempotency key: a second click sends no second SMS.
    """
    fields = {name: text for name in _FIELDS if (text := request.form.get(name, "").strip())}
    try:
        key = check_idempotency_key(request.form.get("key", ""))
        message = draft(fields, components().settings, components().real_providers, key)
        message_id = operator_actions.send_test(message, g.operator)
    except ClientError as error:
        return _form(fields, error), error.status
    return redirect(url_for("ops.message", message_id=message_id), 303)


def _form(fields: dict[str, Any], error: ClientError | None = None) -> str:
    errors = error.errors if isinstance(error, Invalid) else ()
    return render_template(
        "ops/test_message.html",
        fields=fields,
        errors={field_error.field: field_error.message for field_error in errors},
        error=error.detail if error else None,
        key=uuid7().hex,
    )
