"""The webhook endpoints of a client."""

from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import quote

from waybill_client.http import Request

_ROOT = "/v1/webhook-endpoints"


class WebhookEndpoints:
    """Create, change and watch the endpoints that Waybill calls."""

    def __init__(self, call: Callable[[Request], Any]) -> None:
        self._call = call

    def create(self, url: str, **fields: Any) -> Any:
        """Create an endpoint; its `secret` is shown only in this answer."""
        # Not repeated: the secret of a second endpoint would be the only one known.
        return self._call(Request("POST", _ROOT, {"url": url, **fields}, repeatable=False))

    def list(self) -> Any:
        """Return the endpoints, the oldest first."""
        return self._call(Request("GET", _ROOT))["webhook_endpoints"]

    def get(self, endpoint_id: str) -> Any:
        """Return an endpoint. Raises NotFound."""
        return self._call(Request("GET", _path(endpoint_id)))

    def update(self, endpoint_id: str, **fields: Any) -> Any:
        """Change fields of an endpoint."""
        return self._call(Request("PATCH", _path(endpoint_id), fields))

    def delete(self, endpoint_id: str) -> None:
        """Delete an endpoint. What it is owed is not delivered any more."""
        self._call(Request("DELETE", _path(endpoint_id)))

    def rotate_secret(self, endpoint_id: str, overlap_seconds: int | None = None) -> Any:
        """Return the new `secret`; the old one signs as well until the overlap is over."""
        body = {} if overlap_seconds is None else {"overlap_seconds": overlap_seconds}
        return self._call(
            Request("POST", _path(endpoint_id, "rotate-secret"), body, repeatable=False)
        )

    def test(self, endpoint_id: str) -> Any:
        """Send a test event to an endpoint."""
        return self._call(Request("POST", _path(endpoint_id, "test"), repeatable=False))

    def enable(self, endpoint_id: str) -> Any:
        """Enable an endpoint that was disabled."""
        return self._call(Request("POST", _path(endpoint_id, "enable")))

    def recover(self, endpoint_id: str, since: str) -> Any:
        """Deliver every event since a time that was not delivered; return how many."""
        return self._call(Request("POST", _path(endpoint_id, "recover"), {"since": since}))

    def deliveries(self, endpoint_id: str, **filters: Any) -> Iterator[Any]:
        """Yield the deliveries of an endpoint, the newest first."""
        cursor: str | None = None
        while True:
            params = {**filters, **({"cursor": cursor} if cursor else {})}
            page = self._call(Request("GET", _path(endpoint_id, "deliveries"), params=params))
            yield from page["deliveries"]
            cursor = page["next_cursor"]
            if cursor is None:
                return

    def retry(self, endpoint_id: str, delivery_id: str) -> Any:
        """Deliver one delivery again."""
        return self._call(
            Request("POST", f"{_path(endpoint_id, 'deliveries')}/{quote(delivery_id, '')}/retry")
        )


def _path(endpoint_id: str, action: str = "") -> str:
    return f"{_ROOT}/{quote(str(endpoint_id), '')}" + (f"/{action}" if action else "")
