"""Sinch's batch ids and callbacks: signed JSON, with retries for two days times a factor.

https://developers.sinch.com/docs/sms/api-reference/sms/tag/Webhooks/
"""

import json
import time
from base64 import b32encode
from collections.abc import Mapping
from typing import Final
from uuid import uuid4

from simulator.accounts import Account
from simulator.config import Config
from simulator.inbound.message import InboundMessage
from simulator.message import Message
from simulator.provider_format import CallbackRequest
from simulator.retry_policy import RetryPolicy
from simulator.sinch.inbounds import to_inbound
from simulator.sinch.reports import to_recipient_report
from simulator.sinch.signature import signed_headers

_FIRST_BACKOFF: Final = 5.0
_RETRIES: Final = 15  # the last backoff is 81,920 s
# Documented: 5xx and 429. Missing answers are assumed; the time-out is not documented.
_RETRY_ON: Final = frozenset({"5xx", "429", "ct", "rt", "closed"})
_TIMEOUT: Final = 15.0


class SinchFormat:
    """Ids and callbacks of the SMS API (XMS)."""

    def __init__(self, config: Config) -> None:
        backoffs = [
            _FIRST_BACKOFF * config.sinch_retry_factor * 2**retry for retry in range(_RETRIES)
        ]
        calls = _TIMEOUT * (_RETRIES + 1)
        self._retry_policy = RetryPolicy(
            connect_timeout=_TIMEOUT,
            read_timeout=_TIMEOUT,
            total_timeout=sum(backoffs) + calls,
            backoffs=tuple(backoffs),
            retry_on=_RETRY_ON,
        )

    def sid(self, message_digest: bytes, media: bool) -> str:
        """Return 26 characters that look like a ULID."""
        return f"01{'M' if media else 'S'}{b32encode(message_digest)[:23].decode()}"

    def callback(self, message: Message) -> CallbackRequest:
        """Return the signed report. All tries have the same signature."""
        report, url = to_recipient_report(message), message.order.status_callback or ""
        return self._request(str(report["status"]), url, report, message.account)

    def inbound(self, message: InboundMessage, url: str) -> CallbackRequest:
        """Return the signed JSON of an inbound message."""
        fields = to_inbound(message)
        return self._request(str(fields["type"]), url, fields, message.account)

    def _request(
        self, status: str, url: str, fields: Mapping[str, object], account: Account
    ) -> CallbackRequest:
        body, nonce = json.dumps(fields).encode(), uuid4().hex
        return CallbackRequest(
            status=status,
            url=url,
            body=body,
            headers={
                "Content-Type": "application/json",
                **signed_headers(account.signing_key, body, nonce, int(time.time())),
            },
            token=nonce,
            retry_policy=self._retry_policy,
        )
