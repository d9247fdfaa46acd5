"""The webhook endpoints of the fake, and the requests that it would make."""

import base64
import json
import secrets
import time
from collections.abc import Callable, Mapping
from copy import deepcopy
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final, cast, get_args
from uuid import uuid4

import httpx

from waybill_client.events import Event
from waybill_client.fake import fields
from waybill_client.fake.http import content, json_response, page
from waybill_client.fake.refusals import Refusal
from waybill_client.fake.requests import TYPES
from waybill_client.types import Status, WebhookDelivery, WebhookEndpoint
from waybill_client.webhooks import sign

_MOST: Final = 16
_MOST_SECRETS: Final = 10
_STATUSES: Final = get_args(Status)
_FINAL: Final = ["expired", "canceled", "failed", "undelivered", "delivered", "read"]
_NEW: Final[Mapping[str, fields.Check]] = {
    "url": fields.matching(r"https?://\S{1,2000}", "must start with https://"),
    "description": fields.text(),
    "types": fields.list_of(fields.one_of(*TYPES), len(TYPES)),
    "statuses": fields.list_of(fields.one_of(*_STATUSES), len(_STATUSES)),
    "include_body": fields.boolean,
}
_ROTATION: Final = {"overlap_seconds": fields.whole_number(0, 604_800)}
_RECOVERY: Final = {"since": fields.time, "cursor": fields.text()}
_CONTENT: Final = ("body", "media_urls", "content_variables", "media", "raw")
_NOTHING: Final = (
    "disabled_at", "disabled_reason", "failing_since", "last_success_at", "next_attempt_at",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class WebhookRequest:
    """A signed request to an endpoint: post it to the handler that is tested."""

    url: str
    headers: dict[str, str]
    body: bytes


@dataclass(slots=True)
class _Endpoint:
    shown: WebhookEndpoint
    secrets: list[str]
    deliveries: list[WebhookDelivery]


class Endpoints:
    """The endpoints of one client. Each delivery succeeds."""

    def __init__(self) -> None:
        self.requests = list[WebhookRequest]()
        self._by_id = dict[str, _Endpoint]()

    def routes(self, pattern: str) -> list[tuple[str, str, Callable[..., httpx.Response]]]:
        """Return the routes; `pattern` is that of an id."""
        root = "/v1/webhook-endpoints"
        endpoint = f"{root}/{pattern}"
        return [
            ("POST", root, self._create),
            ("GET", root, self._list),
            ("GET", endpoint, lambda _, i: json_response(200, self._get(i).shown)),
            ("PATCH", endpoint, self._change),
            ("DELETE", endpoint, self._delete),
            ("POST", f"{endpoint}/rotate-secret", self._rotate),
            ("POST", f"{endpoint}/test", self._test),
            ("POST", f"{endpoint}/enable", lambda _, i: json_response(200, self._get(i).shown)),
            ("POST", f"{endpoint}/recover", self._recover),
            ("GET", f"{endpoint}/deliveries", self._deliveries),
            ("POST", f"{endpoint}/deliveries/{pattern}/retry", self._retry),
        ]

    def check(self, endpoint_id: str) -> str:
        """Return the id of an endpoint. Raises ValueError for an unknown one."""
        if endpoint_id not in self._by_id:
            raise ValueError("is not a webhook endpoint of yours")
        return endpoint_id

    def tell(self, event: Event, only: str | None) -> None:
        """Make the requests of an event; `only` is the endpoint that the message names."""
        for endpoint_id, endpoint in self._by_id.items():
            if only in (None, endpoint_id) and _is_told(endpoint.shown, event):
                self._post(endpoint, event, event["data"]["id"])

    def _post(self, endpoint: _Endpoint, event: Mapping[str, Any], message_id: str | None) -> None:
        data = dict(event["data"])
        if not endpoint.shown["include_body"]:
            data = {name: value for name, value in data.items() if name not in _CONTENT}
        payload = {"type": event["type"], "timestamp": event["timestamp"], "data": data}
        body = json.dumps(payload).encode()
        headers = sign(event["id"], int(time.time()), body, endpoint.secrets)
        headers["Content-Type"] = "application/json"
        self.requests.append(WebhookRequest(endpoint.shown["url"], headers, body))
        endpoint.deliveries.append(_delivery(event["id"], message_id))

    def _get(self, endpoint_id: str) -> _Endpoint:
        if endpoint_id not in self._by_id:
            raise Refusal(404, "there is no such webhook endpoint")
        return self._by_id[endpoint_id]

    def _create(self, request: httpx.Request) -> httpx.Response:
        request_fields = fields.check(content(request), _NEW, required=("url",))
        if len(self._by_id) >= _MOST:
            raise Refusal(409, f"a client may have {_MOST} webhook endpoints; delete one first")
        shown: dict[str, Any] = {
            "description": None,
            "types": ["message.updated"],
            "statuses": _FINAL,
        }
        shown |= {"include_body": False, "enabled": True, **dict.fromkeys(_NOTHING)}
        shown |= {"id": str(uuid4()), "created_at": _now(), "updated_at": _now(), **request_fields}
        endpoint = _Endpoint(cast(WebhookEndpoint, shown), [_new_secret()], [])
        self._by_id[endpoint.shown["id"]] = endpoint
        return json_response(201, {**endpoint.shown, "secret": endpoint.secrets[0]})

    def _list(self, _: httpx.Request) -> httpx.Response:
        return json_response(
            200, {"webhook_endpoints": [endpoint.shown for endpoint in self._by_id.values()]}
        )

    def _change(self, request: httpx.Request, endpoint_id: str) -> httpx.Response:
        endpoint = self._get(endpoint_id)
        request_fields = content(request)
        changes = fields.check(request_fields, _NEW)
        if "description" in request_fields:
            changes.setdefault("description", None)
        endpoint.shown.update(cast(WebhookEndpoint, {**changes, "updated_at": _now()}))
        return json_response(200, endpoint.shown)

    def _delete(self, _: httpx.Request, endpoint_id: str) -> httpx.Response:
        self._get(endpoint_id)
        del self._by_id[endpoint_id]
        return httpx.Response(204)

    def _rotate(self, request: httpx.Request, endpoint_id: str) -> httpx.Response:
        endpoint = self._get(endpoint_id)
        request_fields = fields.check(content(request) if request.content else {}, _ROTATION)
        # The fake has no clock: earlier secrets sign until a rotation without an overlap.
        earlier = endpoint.secrets if request_fields.get("overlap_seconds", 86_400) else []
        if len(earlier) >= _MOST_SECRETS:
            raise Refusal(409, f"{_MOST_SECRETS} secrets of this endpoint sign already")
        endpoint.secrets = [_new_secret(), *earlier]
        return json_response(200, {**endpoint.shown, "secret": endpoint.secrets[0]})

    def _test(self, _: httpx.Request, endpoint_id: str) -> httpx.Response:
        endpoint = self._get(endpoint_id)
        event = {"id": f"evt_{uuid4().hex}", "type": "webhook.test", "timestamp": _now()}
        self._post(endpoint, {**event, "data": {}}, None)
        return json_response(202, endpoint.deliveries[-1])

    def _recover(self, request: httpx.Request, endpoint_id: str) -> httpx.Response:
        self._get(endpoint_id)
        fields.check(content(request), _RECOVERY, required=("since",))
        # Each delivery has succeeded.
        return json_response(202, {"recovered": 0, "next_cursor": None})

    def _deliveries(self, request: httpx.Request, endpoint_id: str) -> httpx.Response:
        filters = dict(request.url.params)
        limit, cursor = int(filters.pop("limit", 50)), filters.pop("cursor", None)
        matching = [
            delivery
            for delivery in reversed(self._get(endpoint_id).deliveries)
            if all(delivery[name] == value for name, value in filters.items())  # type: ignore[literal-required]
        ]
        shown, next_cursor = page(matching, cursor, limit)
        return json_response(200, {"deliveries": shown, "next_cursor": next_cursor})

    def _retry(self, _: httpx.Request, endpoint_id: str, delivery_id: str) -> httpx.Response:
        for delivery in self._get(endpoint_id).deliveries:
            if delivery["id"] == delivery_id:
                return json_response(202, deepcopy(delivery))
        raise Refusal(404, "there is no such delivery")


def _is_told(endpoint: WebhookEndpoint, event: Event) -> bool:
    if event["type"] not in endpoint["types"]:
        return False
    return event["type"] == "message.received" or event["data"]["status"] in endpoint["statuses"]


def _delivery(event_id: str, message_id: str | None) -> WebhookDelivery:
    return {
        "id": str(uuid4()),
        "event_id": event_id,
        "message_id": message_id,
        "status": "delivered",
        "attempts": 1,
        "answer_status": 204,
        "error": None,
        "created_at": _now(),
        "attempted_at": _now(),
        "delivered_at": _now(),
        "next_attempt_at": None,
    }


def _new_secret() -> str:
    return "whsec_" + base64.b64encode(secrets.token_bytes(32)).decode()


def _now() -> str:
    return fields.time_text(datetime.now(UTC))
