"""Who opted out of messages, and changes of it by the client."""

from collections.abc import Iterator, Sequence
from typing import Any, Final, Unpack, cast
from urllib.parse import quote

from waybill_client.errors import NotFound
from waybill_client.http import Http, Request
from waybill_client.retries import Attempts
from waybill_client.types import OptOut, OptOutFilters

_ROOT: Final = "/v1/opt-outs"


class OptOuts:
    """List, begin and end opt-outs. `number` is in any spelling that `to` of a message may have."""

    def __init__(self, http: Http, deadline: float) -> None:
        self._http = http
        self._deadline = deadline

    def list(self, **filters: Unpack[OptOutFilters]) -> Iterator[OptOut]:
        """Yield opt-outs in force, by number and sender; `limit` is the size of a page."""
        cursor: str | None = None
        while True:
            params = {**filters, **({"cursor": cursor} if cursor else {})}
            page = self._call(Request("GET", _ROOT, params=params))
            yield from page["opt_outs"]
            cursor = page["next_cursor"]
            if cursor is None:
                return

    def begin(self, number: str, sender: str | None = None) -> Sequence[OptOut]:
        """Begin the opt-out of a person from a sender, or from every sender.

        Returns all opt-outs of the person. To repeat it is harmless. Raises Invalid.
        """
        body = {} if sender is None else {"sender": sender}
        answer = self._call(Request("PUT", _path(number), body))
        return cast(Sequence[OptOut], answer["opt_outs"])

    def end(self, number: str, sender: str | None = None) -> None:
        """End the opt-outs of a person from a sender (`*`: the one from every sender), or all.

        Raises NotFound if there is none, and Invalid.
        """
        params = {} if sender is None else {"sender": sender}
        attempts = Attempts(self._deadline)
        try:
            self._http.call(Request("DELETE", _path(number), params=params), attempts)
        except NotFound:
            # After a lost answer, the first attempt may be what ended them.
            if attempts.failed == 1:
                raise

    def _call(self, request: Request) -> Any:
        return self._http.call(request, Attempts(self._deadline))


def _path(number: str) -> str:
    """Return the path of a number.

    A server reads %2F as the end of a part of the path: a slash becomes a space, which means the
    same in a number. An empty part would be another path: a space is refused as a number.
    """
    return f"{_ROOT}/{quote(number.replace('/', ' ') or ' ', '')}"
