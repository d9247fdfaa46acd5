"""Requests to the API: authenticated, with time-outs, repeated when that is safe."""

import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from time import monotonic
from typing import Any, Final

import httpx

from waybill_client.errors import NoAnswer, WaybillError, problem
from waybill_client.retries import Attempts

VERSION: Final = "0.1.0"
_NOT_SENT: Final = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout)


@dataclass(frozen=True, slots=True)
class Request:
    """A request; `repeatable` is False if a repetition could have a second effect."""

    method: str
    path: str
    body: Any = None
    params: Mapping[str, Any] | None = None
    key: str | None = None
    repeatable: bool = True
    wait: float = 0  # seconds that the server may take longer than the time-out


class Http:
    """The connections to one Waybill, under one API key. Safe to share between threads."""

    def __init__(
        self, url: str, api_key: str, timeout: float, transport: httpx.BaseTransport | None
    ) -> None:
        self.url = _checked_url(url)
        self._timeout = timeout
        headers = {"User-Agent": f"waybill-client/{VERSION}", "Accept": "application/json"}
        headers["Authorization"] = f"Bearer {_checked_key(api_key)}"
        self._client = httpx.Client(base_url=self.url, headers=headers, transport=transport)

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def call(self, request: Request, attempts: Attempts) -> Any:
        """Return the JSON of the answer. Raises WaybillError when no attempt succeeds."""
        while True:
            try:
                return self._once(request, attempts.remaining)
            except WaybillError as error:
                error.idempotency_key = request.key
                attempts.again(error, repeatable=request.repeatable)

    def _once(self, request: Request, remaining: float) -> Any:
        timeout, longest = (
            max(0.001, min(seconds, remaining))
            for seconds in (self._timeout, self._timeout + request.wait)
        )
        headers = {"Idempotency-Key": request.key} if request.key else None
        until = monotonic() + longest
        try:
            with self._client.stream(
                request.method,
                request.path,
                json=request.body,
                params=request.params,
                headers=headers,
                timeout=httpx.Timeout(timeout, read=longest),
            ) as response:
                return _result(response, _read(response, until))
        except httpx.RequestError as error:
            # Without the text of the cause: it may show what was sent.
            raise NoAnswer(type(error).__name__, not isinstance(error, _NOT_SENT)) from None


def _checked_url(url: str) -> str:
    parts = httpx.URL(url)
    if parts.scheme not in ("http", "https") or not parts.host or parts.userinfo:
        raise ValueError("url must be such as https://waybill.example.com")
    return url.rstrip("/")


def _checked_key(api_key: str) -> str:
    """Return the key without blanks around it, such as the line end of a file."""
    key = api_key.strip()
    if not (key.isascii() and key.isprintable() and key and " " not in key):
        raise ValueError("api_key must be one line of printable ASCII characters, such as wb_...")
    return key


def _read(response: httpx.Response, until: float) -> bytes:
    """Return the body; a time-out for each read would not end a body that comes in drops."""
    body = bytearray()
    for part in response.iter_bytes():
        body += part
        if monotonic() > until:
            raise httpx.ReadTimeout("the answer takes too long", request=response.request)
    return bytes(body)


def _result(response: httpx.Response, body: bytes) -> Any:
    if not response.is_success:
        headers = response.headers
        retry_after = _seconds(headers.get("Retry-After"))
        raise problem(_problem(response, body), headers.get("X-Request-ID"), retry_after)
    try:
        return json.loads(body) if body else None
    except ValueError:
        raise WaybillError("the answer is not JSON: does the URL lead to Waybill?") from None


def _problem(response: httpx.Response, body: bytes) -> dict[str, Any]:
    document = {"title": response.reason_phrase, "detail": "the answer is not one of Waybill"}
    if response.headers.get("Content-Type", "").startswith("application/problem+json"):
        with suppress(ValueError):
            document = json.loads(body)
    return {**document, "status": response.status_code}


def _seconds(retry_after: str | None) -> float | None:
    """Return the seconds of a Retry-After, which is a number or a date."""
    if retry_after is None:
        return None
    if retry_after.isascii() and retry_after.isdigit():
        return float(retry_after)
    try:
        return max(0.0, (parsedate_to_datetime(retry_after) - datetime.now(UTC)).total_seconds())
    except (TypeError, ValueError):
        return None
