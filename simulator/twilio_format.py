"""Twilio's SIDs and status callbacks: a signed form, with the retry rules of its URL."""

from functools import lru_cache
from urllib.parse import quote_plus, urlsplit
from uuid import uuid4

from simulator.callback_form import Pairs, callback_form
from simulator.config import Config
from simulator.message import Message
from simulator.overrides import parse_overrides
from simulator.provider_format import CallbackRequest
from simulator.signature import sign, signed_url

# Most values repeat from callback to callback: quoting each time took a tenth of the CPU time.
_quote = lru_cache(maxsize=8_192)(quote_plus)


class TwilioFormat:
    """Ids and callbacks of Twilio Programmable Messaging."""

    def __init__(self, config: Config) -> None:
        self._config = config

    def sid(self, message_digest: bytes, media: bool) -> str:
        """Return `SM` or `MM`, and 32 hexadecimal digits."""
        return ("MM" if media else "SM") + message_digest.hex()

    def callback(self, message: Message) -> CallbackRequest:
        """Return the signed form."""
        target, token = message.order.status_callback or "", str(uuid4())
        key = message.order.account.signing_key
        pairs = callback_form(message)
        return CallbackRequest(
            status=message.status,
            url=target.partition("#")[0],
            body=_encode(pairs),
            headers={
                "Accept": "*/*",
                "Content-Type": "application/x-www-form-urlencoded; charset=utf-8",
                "User-Agent": "TwilioProxy/1.1",
                "X-Home-Region": "us1",
                "X-Twilio-Signature": sign(key, signed_url(target), pairs),
                "I-Twilio-Idempotency-Token": token,
            },
            token=token,
            retry_policy=parse_overrides(urlsplit(target).fragment, self._config.retry_pause),
        )


def _encode(pairs: Pairs) -> bytes:
    return "&".join(f"{key}={_quote(value)}" for key, value in pairs).encode()
