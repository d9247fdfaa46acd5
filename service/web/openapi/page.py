"""The API for people and for tools: `/openapi.json`, and `/docs`, a page made from it.

The page has no script and loads nothing: it works offline, and under the strictest policy.
"""

import hashlib
import json
from base64 import b64encode
from importlib.resources import files
from typing import Any, Final

from flask import Blueprint, Response, current_app, render_template, request
from markupsafe import Markup, escape

from service.web.openapi import document as document_of

blueprint = Blueprint("docs", __name__, template_folder="templates")

_STYLE: Final = files("service.web.openapi").joinpath("templates/docs.css").read_text()
_STYLE_HASH: Final = b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
_POLICY: Final = (
    f"default-src 'none'; style-src 'sha256-{_STYLE_HASH}'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


@blueprint.get("/openapi.json")
def document() -> Response:
    """Answer with the OpenAPI document of this version."""
    return _conditional(_made()[0], "application/json")


@blueprint.get("/docs")
def page() -> Response:
    """Answer with the same document as a page."""
    response = _conditional(_made()[1], "text/html; charset=utf-8")
    response.headers["Content-Security-Policy"] = _POLICY
    response.headers["X-Content-Type-Options"] = "nosniff"
    response.headers["Referrer-Policy"] = "no-referrer"
    return response


def _made() -> tuple[bytes, bytes]:
    """Return document and page, made once: routes do not change while a process runs."""
    kept = current_app.extensions
    if "waybill_docs" not in kept:
        kept["waybill_docs"] = _make()
    made: tuple[bytes, bytes] = kept["waybill_docs"]
    return made


def _make() -> tuple[bytes, bytes]:
    made = document_of(current_app)
    shown = render_template("docs.html", api=made, style=Markup(_STYLE), resolve=_resolver(made))  # noqa: S704
    return json.dumps(made, ensure_ascii=False).encode(), shown.encode()


def _conditional(body: bytes, content_type: str) -> Response:
    response = Response(body, content_type=content_type)
    response.set_etag(hashlib.sha256(body).hexdigest()[:32])
    response.headers["Cache-Control"] = "no-cache"  # keep it, and ask whether it is still so
    response.make_conditional(request)
    return response


def _resolver(made: dict[str, Any]) -> Any:
    """Return what follows a `$ref` inside the document."""

    def resolve(schema: dict[str, Any]) -> dict[str, Any]:
        while "$ref" in schema:
            found: Any = made
            for step in schema["$ref"].removeprefix("#/").split("/"):
                found = found[step]
            schema = found
        return schema

    return resolve


@blueprint.app_template_filter("shown")
def shown(value: Any) -> str:
    """Return an example as JSON to read; the template escapes it."""
    return json.dumps(value, indent=2, ensure_ascii=False)


@blueprint.app_template_filter("marked")
def marked(text: str) -> Markup:
    """Return text with its `quoted` words as code; all of it escaped."""
    parts = str(escape(text)).split("`")
    return Markup(  # noqa: S704 - escaped above
        "".join(f"<code>{one}</code>" if at % 2 else one for at, one in enumerate(parts))
    )
