"""Callbacks as Twilio sends them: distinct, really signed, made before the clock runs."""

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

BASE_URL: Final = "https://sms.example.com"  # what is signed; the connection goes to loopback
WORDS: Final = ("queued", "sending", "sent", "delivered")
# So many messages are on their way at once: the words about one do not come back to back.
ABREAST: Final = 1000


class Sent(NamedTuple):
    """A message that the provider has, and will speak about."""

    id: UUID
    attempt: UUID
    sid: str
    to: str


class Signed(NamedTuple):
    """One callback, ready to go."""

    path: str
    body: bytes
    signature: str


def sent(count: int) -> list[Sent]:
    """Return this many distinct messages."""
    return [
        Sent(uuid7(), attempt := uuid7(), f"SM{attempt.hex}", f"+1415{number:07d}")
        for number in range(count)
    ]


def callbacks(messages: Sequence[Sent]) -> Iterator[Signed]:
    """Yield every word about every message: each message in order, many abreast."""
    waiting = iter(messages)
    while abreast := list(islice(waiting, ABREAST)):
        for word in WORDS:
            yield from (_callback(message, word) for message in abreast)


def wire(callback: Signed) -> bytes:
    """Return a callback as a request."""
    headers = {
        "Host": BASE_URL.partition("://")[2],
        "Content-Type": "application/x-www-form-urlencoded",
        "I-Twilio-Idempotency-Token": callback.signature,
        "User-Agent": "TwilioProxy/1.1",
        "X-Twilio-Signature": callback.signature,
    }
    return post(callback.path, headers, callback.body)


def signature(url: str, form: Mapping[str, str], token: str = TOKEN) -> str:
    """Return what Twilio would put into X-Twilio-Signature."""
    text = url + "".join([name + form[name] for name in sorted(form)])
    digest = hmac.digest(token.encode(), text.encode(), hashlib.sha1)
    return base64.b64encode(digest).decode()


def _callback(message: Sent, word: str) -> Signed:
    form = {
        "AccountSid": ACCOUNT,
        "ApiVersion": "2010-04-01",
        "From": SENDER,
        "MessageSid": message.sid,
        "MessageStatus": word,
        "SmsSid": message.sid,
        "SmsStatus": word,
        "To": message.to,
    }
    path = f"/callbacks/twilio/{message.attempt}"
    return Signed(path, _encoded(form), signature(BASE_URL + path, form))


def _encoded(form: Mapping[str, str]) -> bytes:
    """Encode the form; of these values only numbers hold what has to be escaped."""
    return "&".join([f"{name}={said.replace('+', '%2B')}" for name, said in form.items()]).encode()
