"""Sinch's batches API: what may have happened to a message, call by call.

Source: https://developers.sinch.com/docs/sms/api-reference/sms/tag/Batches/.
"""

import json
import re
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import quote

from service.config.settings import Settings
from service.errors import NotAccepted, OutcomeUnknown, ProviderError, Refused
from service.providers.http import ApiResponse, Server, call, json_object, with_query
from service.providers.sanitize import LONG, as_sid, clip

# As with any provider (docs/adr/0007): 429 is never processed; 401 means that our token is wrong,
# and a token can be mended while the message waits; 407 is a proxy that forwarded nothing.
_WITHOUT_EFFECT: Final = frozenset({401, 407, 429})
# An error of Sinch's own has a word for a code and a text. Anything else may be a proxy's.
_CODE: Final = re.compile(r"[a-z][a-z_]{2,63}")


class Batches:
    """The batches of one service plan. Every call raises ProviderError for any but a 2xx."""

    def __init__(self, settings: Settings) -> None:
        assert settings.sinch_service_plan_id is not None
        assert settings.sinch_api_token is not None
        host = f"https://{settings.sinch_region}.sms.api.sinch.com"
        plan = quote(settings.sinch_service_plan_id, safe="")
        self._url = f"{settings.sinch_api_base_url or host}/xms/v1/{plan}/batches"
        self._bearer = f"Bearer {settings.sinch_api_token.get_secret_value()}"
        self._server = Server(
            self._url,
            settings.sinch_connect_timeout,
            settings.sinch_read_timeout,
            settings.worker_concurrency,
        )

    def create(self, batch: Mapping[str, Any]) -> dict[str, Any]:
        """Make a batch; return it."""
        return _identified(self._call("POST", "", batch=batch))

    def cancel(self, batch_id: str) -> dict[str, Any]:
        """Cancel a batch; return it."""
        return _identified(self._call("DELETE", _at(batch_id)))

    def batch(self, batch_id: str) -> dict[str, Any]:
        """Return a batch."""
        return _identified(self._call("GET", _at(batch_id)))

    def delivery_report(self, batch_id: str) -> dict[str, Any]:
        """Return the report of a batch, of the type `full`."""
        path = f"{_at(batch_id)}/delivery_report"
        return _with("statuses", self._call("GET", path, {"type": "full"}))

    def named(self, client_reference: str, since: str) -> list[dict[str, Any]]:
        """Return the batches under a reference of ours, made since an ISO 8601 time."""
        query = {"client_reference": client_reference, "start_date": since}
        batches = _with("batches", self._call("GET", "", query))["batches"]
        # Compared here as well: a filter that is not understood would list everybody's.
        return [
            one
            for one in (batches if isinstance(batches, list) else [])
            if isinstance(one, dict)
            and one.get("client_reference") == client_reference
            and as_sid(one.get("id"))
        ]

    def _call(
        self,
        method: str,
        path: str,
        query: Mapping[str, str] | None = None,
        batch: Mapping[str, Any] | None = None,
    ) -> dict[str, Any]:
        url = with_query(self._url + path, query)
        return call(lambda: self._ask(method, url, batch))

    def _ask(self, method: str, url: str, batch: Mapping[str, Any] | None) -> dict[str, Any]:
        headers = {"Accept": "application/json", "Authorization": self._bearer}
        if batch is not None:
            headers["Content-Type"] = "application/json"
        sent = None if batch is None else json.dumps(batch).encode()
        answer = self._server.request(method, url, headers, sent)
        body = json_object(answer.text)
        if not 200 <= answer.status < 300:
            raise _provider_error(method, answer, body)
        return body


def _identified(batch: dict[str, Any]) -> dict[str, Any]:
    """Return a batch that has an id. Raises OutcomeUnknown for any other."""
    if as_sid(batch.get("id")) is None:
        raise OutcomeUnknown("the answer has no id")
    return batch


def _with(name: str, answer: dict[str, Any]) -> dict[str, Any]:
    """Return an answer that has what it must have. Raises OutcomeUnknown for any other."""
    if not answer.get(name) and answer.get(name) != []:
        raise OutcomeUnknown(f"the answer has no {name}")
    return answer


def _at(batch_id: str) -> str:
    return f"/{quote(batch_id, safe='')}"


def _provider_error(method: str, answer: ApiResponse, body: Mapping[str, Any]) -> ProviderError:
    status = answer.status
    given, message = body.get("code"), clip(body.get("text"), LONG) or ""
    code = given if isinstance(given, str) and message and _CODE.fullmatch(given) else None
    raw: Mapping[str, Any] = {"status": status, "code": code, "message": message}
    if status in _WITHOUT_EFFECT:
        return NotAccepted(message or f"HTTP {status}", code, raw, answer.retry_after)
    if 400 <= status < 500 and (code is not None or method == "GET"):
        # A question has no effect that could be in doubt, whoever answered it.
        return Refused(message or f"HTTP {status}", code or f"http_{status}", raw)
    return OutcomeUnknown(message or f"HTTP {status}", code, raw)
