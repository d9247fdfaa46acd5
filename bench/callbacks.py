"""Makes distinct, signed Twilio callbacks before a measurement starts."""

import base64
import hashlib
import hmac
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from typing import Final, NamedTuple
from uuid import UUID

from uuid_utils.compat import uuid7

from bench.load import post
from demo.stack import ACCOUNT, SENDER, TOKEN

BASE_URL: Final = "https://sms.example.com"  # signed; requests go to loopback
STATUSES: Final = ("queued", "sending", "sent", "delivered")
# Callbacks of so many messages are interleaved: callbacks of one message are not adjacent.
INTERLEAVED: Final = 1000


class SentMessage(NamedTuple):
    """A message that the provider has accepted."""

    id: UUID
    attempt: UUID
    sid: str
    to: str


class SignedCallback(NamedTuple):
    """One signed callback."""

    path: str
    body: bytes
    signature: str


def make_messages(count: int) -> list[SentMessage]:
    """Return distinct messages."""
    return [
        SentMessage(uuid7(), attempt := uuid7(), f"SM{attempt.hex}", f"+1415{number:07d}")
        for number in range(count)
    ]


def callbacks(messages: Sequence[SentMessage]) -> Iterator[SignedCallback]:
    """Yield every status of every message: in order per message, interleaved."""
    remaining = iter(messages)
    while group := list(islice(remaining, INTERLEAVED)):
        for status in STATUSES:
            yield from (_callback(message, status) for message in group)


def http_request(callback: SignedCallback) -> bytes:
    """Return the bytes of the HTTP request."""
    headers = {
        "Host": BASE_URL.partition("://")[2],
        "Content-Type": "application/x-www-form-urlencoded",
        "I-Twilio-Idempotency-Token": callback.signature,
        "User-Agent": "TwilioProxy/1.1",
        "X-Twilio-Signature": callback.signature,
    }
    return post(callback.path, headers, callback.body)


def signature(url: str, form: Mapping[str, str], token: str = TOKEN) -> str:
    """Return the X-Twilio-Signature."""
    text = url + "".join([name + form[name] for name in sorted(form)])
    digest = hmac.digest(token.encode(), text.encode(), hashlib.sha1)
    return base64.b64encode(digest).decode()


def _callback(message: SentMessage, status: str) -> SignedCallback:
    form = {
        "AccountSid": ACCOUNT,
        "ApiVersion": "2010-04-01",
        "From": SENDER,
        "MessageSid": message.sid,
        "MessageStatus": status,
        "SmsSid": message.sid,
        "SmsStatus": status,
        "To": message.to,
    }
    path = f"/callbacks/twilio/{message.attempt}"
    return SignedCallback(path, _encoded(form), signature(BASE_URL + path, form))


def _encoded(form: Mapping[str, str]) -> bytes:
    """Encode the form. Only the plus of phone numbers needs escaping."""
    pairs = [f"{name}={value.replace('+', '%2B')}" for name, value in form.items()]
    return "&".join(pairs).encode()
