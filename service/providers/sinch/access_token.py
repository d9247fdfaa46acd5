"""Access tokens of a Sinch project: OAuth 2 client credentials.

Source: https://developers.sinch.com/docs/sms/api-reference/authentication/oauth/.
"""

import threading
import time
from http import HTTPStatus
from typing import Any, Final

from urllib3.util import make_headers

from service.config.accounts import SinchAccount
from service.config.settings import Settings
from service.errors import NotAccepted, ProviderError
from service.providers.http import ApiResponse, Server, call, json_object

_AUTH: Final = "https://auth.sinch.com"
_BODY: Final = b"grant_type=client_credentials"
# A token is renewed this many seconds before its end, or in the second half of a shorter life.
_EARLY: Final = 60.0
# Seconds, if the answer names no lifetime.
_LIFETIME: Final = 300.0
_REFUSED: Final = frozenset({HTTPStatus.BAD_REQUEST, HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN})


class KeyRefused(Exception):
    """Sinch refuses the access key of the project."""


class AccessToken:
    """The token of one project. Threads share it, and one of them requests it."""

    def __init__(self, account: SinchAccount, settings: Settings) -> None:
        secret = account.key_secret.get_secret_value() if account.key_secret else ""
        self._url = f"{settings.sinch_api_base_url or _AUTH}/oauth2/token"
        self._headers = {
            **make_headers(basic_auth=f"{account.key_id}:{secret}"),
            "Content-Type": "application/x-www-form-urlencoded",
        }
        self._server = Server(
            self._url, settings.sinch_connect_timeout, settings.sinch_read_timeout, connections=1
        )
        self._lock = threading.Lock()
        self._token: str | None = None
        # Monotonic times.
        self._requested_at = self._renew_at = self._failed_at = 0.0
        self._failure: Exception | None = None

    def get(self) -> str:
        """Return the token, after requesting one if it ends soon.

        Raises KeyRefused or NotAccepted. Threads that waited for a request share its error, so a
        call waits for one request at most.
        """
        began = time.monotonic()
        with self._lock:
            if self._token is not None and time.monotonic() < self._renew_at:
                return self._token
            if self._failure is not None and self._failed_at > began:
                raise _again(self._failure)
            try:
                self._token, lifetime = self._request()
            except (KeyRefused, ProviderError) as error:
                self._failure, self._failed_at = error, time.monotonic()
                raise
            self._requested_at = time.monotonic()
            self._renew_at = self._requested_at + lifetime - min(_EARLY, lifetime / 2)
            return self._token

    def requested_since(self, moment: float) -> bool:
        """Return whether the token was requested after a monotonic time."""
        return self._requested_at >= moment

    def discard(self, token: str) -> None:
        """Request another token for the next call, unless another thread did so already."""
        with self._lock:
            if self._token == token:
                self._token = None

    def _request(self) -> tuple[str, float]:
        """Return a new token and its lifetime in seconds."""
        try:
            answer = call(lambda: self._server.request("POST", self._url, self._headers, _BODY))
        except ProviderError as error:
            # This request sends no message, so nothing can be in doubt.
            raise NotAccepted(f"no access token: {error.message}") from error
        if answer.status in _REFUSED:
            raise KeyRefused
        body = json_object(answer.text)
        token = body.get("access_token")
        if answer.status != HTTPStatus.OK or not isinstance(token, str) or not _is_header(token):
            raise _not_given(answer)
        return token, _lifetime(body.get("expires_in"))


def _again(failure: Exception) -> Exception:
    """Return the error of another thread for this one; each has its own traceback."""
    if isinstance(failure, NotAccepted):
        return NotAccepted(failure.message, failure.code, failure.raw, failure.retry_after)
    return KeyRefused()


def _not_given(answer: ApiResponse) -> NotAccepted:
    raw = {"status": answer.status, "code": None, "message": "no access token"}
    message = f"no access token: HTTP {answer.status}"
    return NotAccepted(message, None, raw, answer.retry_after)


def _is_header(token: str) -> bool:
    return token.isascii() and token.isprintable() and " " not in token and token != ""


def _lifetime(value: Any) -> float:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return float(value) if is_number and 0 < value < 86_400 * 365 else _LIFETIME
