"""What persons wrote to the client."""

from collections.abc import Callable, Iterator
from typing import Any, Final, Unpack, cast
from uuid import UUID

from waybill_client.http import Request
from waybill_client.types import InboundFilters, InboundMessage

_ROOT: Final = "/v1/inbound"


class Inbound:
    """Read inbound messages. To be told of new ones, use `events()` or webhooks."""

    def __init__(self, call: Callable[[Request], Any]) -> None:
        self._call = call

    def list(
        self, *, from_: str | None = None, **filters: Unpack[InboundFilters]
    ) -> Iterator[InboundMessage]:
        """Yield messages, the newest first; `from_` is `from`, `limit` is the size of a page."""
        sender = {} if from_ is None else {"from": from_}
        cursor: str | None = None
        while True:
            params = {**filters, **sender, **({"cursor": cursor} if cursor else {})}
            page = self._call(Request("GET", _ROOT, params=params))
            yield from page["messages"]
            cursor = page["next_cursor"]
            if cursor is None:
                return

    def get(self, inbound_id: str | UUID) -> InboundMessage:
        """Return a message. Raises NotFound."""
        request = Request("GET", f"{_ROOT}/{UUID(str(inbound_id))}")
        return cast(InboundMessage, self._call(request))
