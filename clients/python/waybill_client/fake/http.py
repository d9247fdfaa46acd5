"""Requests and answers of the fake."""

import json
from collections.abc import Mapping, Sequence
from copy import deepcopy
from typing import Any

import httpx

from waybill_client.fake.fields import text
from waybill_client.fake.refusals import Refusal, invalid


def content(request: httpx.Request) -> Any:
    """Return the JSON of a request. Raises Refusal."""
    try:
        return json.loads(request.content)
    except ValueError:
        raise Refusal(400, "the body is not JSON") from None


def key_of(request: httpx.Request) -> str | None:
    """Return the idempotency key of a request. Raises Refusal."""
    key: str | None = request.headers.get("Idempotency-Key")
    try:
        if key is not None and not text()(key).isprintable():
            raise ValueError
    except ValueError:
        raise invalid({"Idempotency-Key": "must be 1 to 255 printable characters"}) from None
    return key


def page(
    matching: Sequence[Mapping[str, Any]], cursor: str | None, limit: int
) -> tuple[list[Any], str | None]:
    """Return copies of the items behind a cursor, and the cursor of the next page.

    A cursor is the id of the last item of a page.
    """
    ids = [item["id"] for item in matching]
    start = ids.index(cursor) + 1 if cursor in ids else 0
    shown = [deepcopy(item) for item in matching[start : start + limit]]
    return shown, shown[-1]["id"] if len(ids) > start + limit else None


def json_response(
    status: int, document: Any, headers: Mapping[str, str] | None = None
) -> httpx.Response:
    """Return an answer."""
    return httpx.Response(status, json=document, headers=headers)


def problem_response(refusal: Refusal, headers: Mapping[str, str] | None = None) -> httpx.Response:
    """Return a problem document."""
    return httpx.Response(
        refusal.document["status"],
        content=json.dumps(refusal.document),
        headers={"Content-Type": "application/problem+json", **(headers or {})},
    )
