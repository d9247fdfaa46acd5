"""Routes of the API documentation: `/openapi.json`, and the page `/docs` made from it.

The page has no scripts and loads nothing: it works offline and with a strict security policy.
"""

import hashlib
import json
from base64 import b64encode
from importlib.resources import files
from typing import Any, Final

from flask import Blueprint, Response, current_app, render_template, request
from markupsafe import Markup, escape

from service.components import components
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
    """Return the OpenAPI document of this version."""
    return _conditional(_documents()[0], "application/json")


@blueprint.get("/docs")
def page() -> Response:
    """Return the same document as a page."""
    response = _conditional(_documents()[1], "text/html; charset=utf-8")
    response.headers["Content-Security-Policy"] = _POLICY
    response.headers["X-Content-Type-Options"] = "nosniff"
    response.headers["Referrer-Policy"] = "no-referrer"
    return response


def _documents() -> tuple[bytes, bytes]:
    """Return document and page. They are made once for each process."""
    extensions = current_app.extensions
    if "waybill_docs" not in extensions:
        extensions["waybill_docs"] = _make()
    documents: tuple[bytes, bytes] = extensions["waybill_docs"]
    return documents


def _make() -> tuple[bytes, bytes]:
    api = document_of(sorted(components().real_providers))
    page = render_template("docs.html", api=api, style=Markup(_STYLE), resolve=_resolver(api))  # noqa: S704
    return json.dumps(api, ensure_ascii=False).encode(), page.encode()


def _conditional(body: bytes, content_type: str) -> Response:
    response = Response(body, content_type=content_type)
    response.add_etag()
    response.headers["Cache-Control"] = "no-cache"  # caches must revalidate it
    response.make_conditional(request)
    return response


def _resolver(api: dict[str, Any]) -> Any:
    """Return a function that resolves a `$ref` into the components."""

    def resolve(described: dict[str, Any]) -> Any:
        if "$ref" not in described:
            return described
        _, _, kind, name = described["$ref"].split("/")
        return api["components"][kind][name]

    return resolve


@blueprint.app_template_filter("as_json")
def as_json(value: Any) -> str:
    """Return an example as indented JSON, in its own order. The template escapes it."""
    return json.dumps(value, indent=2, ensure_ascii=False)


@blueprint.app_template_filter("with_code")
def with_code(text: str) -> Markup:
    """Return escaped text with its `quoted` words as code."""
    parts = str(escape(text)).split("`")
    return Markup(  # noqa: S704 - escaped above
        "".join(f"<code>{part}</code>" if i % 2 else part for i, part in enumerate(parts))
    )
