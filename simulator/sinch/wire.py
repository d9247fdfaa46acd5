"""Sinch's ids and callbacks: signed JSON, and retries for two days, shortened by a factor.

https://developers.sinch.com/docs/sms/api-reference/sms/tag/Webhooks/
"""

import json
import time
from base64 import b32encode
from typing import Final
from uuid import uuid4

from simulator.config import Config
from simulator.message import Message
from simulator.patience import Patience
from simulator.sinch.reports import to_recipient_report
from simulator.sinch.signature import signed_headers
from simulator.wire import Post

_FIRST_PAUSE: Final = 5.0
_RETRIES: Final = 15  # the last pause is 81,920 s
# Documented: 5xx, and 429. No answer is no answer either; how long Sinch waits for one is not told.
_POLICY: Final = frozenset({"5xx", "429", "ct", "rt", "closed"})
_LONGEST_CALL: Final = 15.0


class SinchWire:
    """The SMS API (XMS), as its clients see it."""

    def __init__(self, config: Config) -> None:
        self._config = config
        pauses = [_FIRST_PAUSE * config.sinch_retry_factor * 2**retry for retry in range(_RETRIES)]
        calls = _LONGEST_CALL * (_RETRIES + 1)
        self._patience = Patience(
            connect=_LONGEST_CALL,
            read=_LONGEST_CALL,
            total=sum(pauses) + calls,
            pauses=tuple(pauses),
            policy=_POLICY,
        )

    def sid(self, message_digest: bytes, media: bool) -> str:
        """Return 26 characters that look like a ULID."""
        return f"01{'M' if media else 'S'}{b32encode(message_digest)[:23].decode()}"

    def post(self, message: Message) -> Post:
        """Write the report and sign it, once for all its tries."""
        report = to_recipient_report(message)
        body, nonce = json.dumps(report).encode(), uuid4().hex
        return Post(
            status=str(report["status"]),
            url=message.order.status_callback or "",
            body=body,
            headers={
                "Content-Type": "application/json",
                **signed_headers(self._config.sinch_secret, body, nonce, int(time.time())),
            },
            token=nonce,
            patience=self._patience,
        )
