"""Calls about webhook endpoints that take several requests, or a long one."""

import json
from typing import Any

import httpx

from waybill_client import Waybill

ENDPOINT = "01a1fd14-9522-7078-b19f-9ef257cf0b38"


def test_recovery_in_parts_counts_them_all() -> None:
    bodies, timeouts = list[Any](), list[Any]()
    parts = [(20_000, "c-1"), (20_000, "c-2"), (5, None)]

    def answer(request: httpx.Request) -> httpx.Response:
        bodies.append(json.loads(request.content))
        timeouts.append(request.extensions["timeout"]["read"])
        recovered, cursor = parts[len(bodies) - 1]
        return httpx.Response(202, json={"recovered": recovered, "next_cursor": cursor})

    since = "2026-11-26T09:00:00Z"
    waybill = Waybill("http://waybill.test", "k", transport=httpx.MockTransport(answer))
    assert waybill.webhook_endpoints.recover(ENDPOINT, since) == 40_005
    assert bodies == [{"since": since}, *({"since": since, "cursor": c} for c in ("c-1", "c-2"))]
    # The server works up to 15 s on a part: a shorter time-out would begin it again and again.
    assert min(timeouts) > 15


def test_ids_cannot_change_the_path() -> None:
    paths = list[bytes]()

    def answer(request: httpx.Request) -> httpx.Response:
        paths.append(request.url.raw_path)
        return httpx.Response(204)

    waybill = Waybill("http://waybill.test", "k", transport=httpx.MockTransport(answer))
    waybill.webhook_endpoints.delete("../messages?x=")
    assert paths == [b"/v1/webhook-endpoints/..%2Fmessages%3Fx%3D"]
