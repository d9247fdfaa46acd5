"""Call Sinch's SMS API, and classify errors by what may have happened to the message.

Source: https://developers.sinch.com/docs/sms/api-reference/sms/tag/Batches/ and, for inbound
messages, https://developers.sinch.com/docs/sms/api-reference/sms/tag/Inbounds/.
"""

import json
import re
import time
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import quote

from service.config.accounts import SinchAccount
from service.config.settings import Settings
from service.errors import Blocked, NotAccepted, OutcomeUnknown, ProviderError, Refused
from service.providers.http import ApiResponse, Server, call, json_object, with_query
from service.providers.sanitize import LONG, as_sid, clip
from service.providers.sinch.access_token import AccessToken, KeyRefused
from service.providers.sinch.errors import explain

# docs/adr/0007: 429 is never processed; 407 comes from a proxy that forwarded nothing.
_NOT_ACCEPTED: Final = frozenset({407, 429})
_UNAUTHORIZED: Final = 401
# Seconds. CLAIM_LEASE has time for a token request and a call, and a few seconds more.
_MAX_REFUSAL: Final = 2.0
# Sinch's own errors have a word as code, and a text. Any other may come from a proxy.
_CODE: Final = re.compile(r"[a-z][a-z_]{2,63}")


class Batches:
    """The batches and inbound messages of one account. Calls raise ProviderError without a 2xx."""

    def __init__(self, account: SinchAccount, settings: Settings) -> None:
        address = _address(account, settings)
        self._url = f"{address}/batches"
        self._inbounds_url = f"{address}/inbounds"
        token = account.api_token
        self._bearer = None if token is None else token.get_secret_value()
        self._access_token = AccessToken(account, settings)
        self._server = Server(
            self._url,
            settings.sinch_connect_timeout,
            settings.sinch_read_timeout,
            settings.worker_concurrency,
        )

    def create(self, batch: Mapping[str, Any]) -> dict[str, Any]:
        """Create a batch; return it."""
        return _require_id(self._call("POST", "", batch=batch))

    def cancel(self, batch_id: str) -> dict[str, Any]:
        """Cancel a batch; return it."""
        return _require_id(self._call("DELETE", _path(batch_id)))

    def batch(self, batch_id: str) -> dict[str, Any]:
        """Return a batch."""
        return _require_id(self._call("GET", _path(batch_id)))

    def delivery_report(self, batch_id: str) -> dict[str, Any]:
        """Return the full delivery report of a batch."""
        path = f"{_path(batch_id)}/delivery_report"
        return _require("statuses", self._call("GET", path, {"type": "full"}))

    def named(self, client_reference: str, since: str) -> list[dict[str, Any]]:
        """Return the batches with this client reference, created since an ISO 8601 time."""
        query = {"client_reference": client_reference, "start_date": since}
        batches = _require("batches", self._call("GET", "", query))["batches"]
        # Compare here, too: a server that ignores the filter would list all batches.
        return [
            batch
            for batch in (batches if isinstance(batches, list) else [])
            if isinstance(batch, dict)
            and batch.get("client_reference") == client_reference
            and as_sid(batch.get("id"))
        ]

    def inbounds(self, query: Mapping[str, str | int]) -> dict[str, Any]:
        """Return a page of inbound messages, and how many there are."""
        url = with_query(self._inbounds_url, query)
        answer = call(lambda: self._request("GET", url, None))
        if not isinstance(answer.get("inbounds"), list):
            raise OutcomeUnknown("the answer has no inbounds")
        return answer

    def _call(
        self,
        method: str,
        path: str,
        query: Mapping[str, str] | None = None,
        batch: Mapping[str, Any] | None = None,
    ) -> dict[str, Any]:
        url = with_query(self._url + path, query)
        return call(lambda: self._request(method, url, batch))

    def _request(self, method: str, url: str, batch: Mapping[str, Any] | None) -> dict[str, Any]:
        answer = self._authorized(method, url, batch)
        body = json_object(answer.text)
        if not 200 <= answer.status < 300:
            raise _provider_error(method, answer, body)
        return body

    def _authorized(self, method: str, url: str, batch: Mapping[str, Any] | None) -> ApiResponse:
        """Return the answer; renew the token of a project once if Sinch refuses an older one."""
        if self._bearer is not None:
            return self._send(method, url, batch, self._bearer)
        began = time.monotonic()
        try:
            token = self._access_token.get()
            requested = self._access_token.requested_since(began)
            answer = self._send(method, url, batch, token)
            if answer.status != _UNAUTHORIZED or requested or _is_late(began):
                return answer
            self._access_token.discard(token)
            return self._send(method, url, batch, self._access_token.get())
        except KeyRefused:
            raise _provider_error(method, ApiResponse(_UNAUTHORIZED, ""), {}) from None

    def _send(
        self, method: str, url: str, batch: Mapping[str, Any] | None, token: str
    ) -> ApiResponse:
        headers = {"Accept": "application/json", "Authorization": f"Bearer {token}"}
        if batch is not None:
            headers["Content-Type"] = "application/json"
        content = None if batch is None else json.dumps(batch).encode()
        return self._server.request(method, url, headers, content)


def _address(account: SinchAccount, settings: Settings) -> str:
    """Return the address of a service plan or project; projects have other hosts."""
    host = f"{account.region}.sms.api.sinch.com"
    if account.project_id is not None:
        host = f"zt.{host}"
    owner = quote(account.project_id or account.service_plan_id or "", safe="")
    return f"{settings.sinch_api_base_url or f'https://{host}'}/xms/v1/{owner}"


def _is_late(began: float) -> bool:
    """Return whether the claim leaves no time for a token request and another call."""
    return time.monotonic() - began > _MAX_REFUSAL


def _require_id(batch: dict[str, Any]) -> dict[str, Any]:
    """Return the batch. Raises OutcomeUnknown if it has no id."""
    if as_sid(batch.get("id")) is None:
        raise OutcomeUnknown("the answer has no id")
    return batch


def _require(name: str, answer: dict[str, Any]) -> dict[str, Any]:
    """Return the answer. Raises OutcomeUnknown if it lacks a field."""
    if not answer.get(name) and answer.get(name) != []:
        raise OutcomeUnknown(f"the answer has no {name}")
    return answer


def _path(batch_id: str) -> str:
    return f"/{quote(batch_id, safe='')}"


def _provider_error(method: str, answer: ApiResponse, body: Mapping[str, Any]) -> ProviderError:
    """Return the error of an answer. Outside of a 4xx the message may have been sent."""
    status = answer.status
    word, message = body.get("code"), clip(body.get("text"), LONG) or ""
    code = word if isinstance(word, str) and message and _CODE.fullmatch(word) else None
    raw: Mapping[str, Any] = {"status": status, "code": code, "message": message}
    message = message or f"HTTP {status}"
    if status in _NOT_ACCEPTED:
        return NotAccepted(message, code, raw, answer.retry_after)
    if not 400 <= status < 500:
        return OutcomeUnknown(message, code, raw)
    fault = _fault(answer, code)
    scope = explain(fault).blocks
    if method == "POST" and scope is not None:
        return Blocked(message, fault, raw, scope)
    if status == _UNAUTHORIZED or (code is not None and explain(code).blocks is not None):
        return NotAccepted(message, fault, raw, answer.retry_after)
    if code is not None or method == "GET":
        # A GET has no effect, so nothing can be in doubt.
        return Refused(message, code or f"http_{status}", raw)
    return OutcomeUnknown(message, code, raw)


def _fault(answer: ApiResponse, code: str | None) -> str:
    """Return the code of a 4xx: Sinch's word, or the status if Sinch gave no word that we know."""
    if code is not None and explain(code).listed:
        return code
    # Sinch sends some errors without a body. Any other body may be a proxy's.
    is_own = code is not None or not answer.text.strip() or answer.status == _UNAUTHORIZED
    return f"http_{answer.status}" if is_own else ""
