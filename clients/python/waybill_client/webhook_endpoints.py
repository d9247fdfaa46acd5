"""The webhook endpoints of a client."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final, Unpack, cast
from urllib.parse import quote

from waybill_client.http import Request
from waybill_client.types import (
    DeliveryFilters,
    NewWebhookEndpoint,
    Recovered,
    WebhookDelivery,
    WebhookEndpoint,
    WebhookEndpointChanges,
    WebhookEndpointWithSecret,
)

_ROOT: Final = "/v1/webhook-endpoints"
_LONGEST_PART: Final = 20.0  # seconds for which the server works on a part of a recovery


class WebhookEndpoints:
    """Create, change and watch the endpoints that Waybill calls."""

    def __init__(self, call: Callable[[Request], Any]) -> None:
        self._call = call

    def create(self, **fields: Unpack[NewWebhookEndpoint]) -> WebhookEndpointWithSecret:
        """Create an endpoint; its `secret` is shown only in this answer."""
        # Not repeated after a lost answer: it would leave an endpoint with an unknown secret.
        return cast(
            WebhookEndpointWithSecret,
            self._call(Request("POST", _ROOT, fields, repeatable=False)),
        )

    def list(self) -> Sequence[WebhookEndpoint]:
        """Return the endpoints, the oldest first."""
        answer = self._call(Request("GET", _ROOT))
        return cast(Sequence[WebhookEndpoint], answer["webhook_endpoints"])

    def get(self, endpoint_id: str) -> WebhookEndpoint:
        """Return an endpoint. Raises NotFound."""
        return cast(WebhookEndpoint, self._call(Request("GET", _path(endpoint_id))))

    def update(self, endpoint_id: str, **fields: Unpack[WebhookEndpointChanges]) -> WebhookEndpoint:
        """Change fields of an endpoint."""
        return cast(WebhookEndpoint, self._call(Request("PATCH", _path(endpoint_id), fields)))

    def delete(self, endpoint_id: str) -> None:
        """Delete an endpoint. What it is owed is not delivered any more."""
        self._call(Request("DELETE", _path(endpoint_id)))

    def rotate_secret(
        self, endpoint_id: str, overlap_seconds: int = 86_400
    ) -> WebhookEndpointWithSecret:
        """Give an endpoint a new `secret`; the earlier one signs as well during the overlap."""
        body = {"overlap_seconds": overlap_seconds}
        request = Request("POST", _path(endpoint_id, "rotate-secret"), body, repeatable=False)
        return cast(WebhookEndpointWithSecret, self._call(request))

    def test(self, endpoint_id: str) -> WebhookDelivery:
        """Send an event of the type `webhook.test`."""
        request = Request("POST", _path(endpoint_id, "test"), repeatable=False)
        return cast(WebhookDelivery, self._call(request))

    def enable(self, endpoint_id: str) -> WebhookEndpoint:
        """Enable an endpoint that was disabled: what it is owed is delivered."""
        return cast(WebhookEndpoint, self._call(Request("POST", _path(endpoint_id, "enable"))))

    def recover(self, endpoint_id: str, since: str) -> int:
        """Deliver every event since a time that did not arrive; return how many.

        The server does it in parts, each in a request: an interruption repeats none of them.
        """
        recovered, body, path = 0, {"since": since}, _path(endpoint_id, "recover")
        while True:
            part: Recovered = self._call(Request("POST", path, body, wait=_LONGEST_PART))
            recovered += part["recovered"]
            if part["next_cursor"] is None:
                return recovered
            body = {"since": since, "cursor": part["next_cursor"]}

    def deliveries(
        self, endpoint_id: str, **filters: Unpack[DeliveryFilters]
    ) -> Iterator[WebhookDelivery]:
        """Yield the deliveries to an endpoint, the newest first; `limit` is the size of a page."""
        cursor: str | None = None
        while True:
            params = {**filters, **({"cursor": cursor} if cursor else {})}
            page = self._call(Request("GET", _path(endpoint_id, "deliveries"), params=params))
            yield from page["deliveries"]
            cursor = page["next_cursor"]
            if cursor is None:
                return

    def retry(self, endpoint_id: str, delivery_id: str) -> WebhookDelivery:
        """Make a delivery again."""
        path = f"{_path(endpoint_id, 'deliveries')}/{quote(delivery_id, '')}/retry"
        return cast(WebhookDelivery, self._call(Request("POST", path)))


def _path(endpoint_id: str, action: str = "") -> str:
    return f"{_ROOT}/{quote(str(endpoint_id), '')}" + (f"/{action}" if action else "")
