"""Sample callbacks of each provider, so that one test suite covers all of them."""

import base64
import hashlib
import hmac
import json
import time
from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping
from urllib.parse import parse_qsl, urlencode
from uuid import UUID

from twilio.request_validator import RequestValidator

from service.domain.status import Status
from service.providers import configured
from service.providers.base import CallbackRequest, Provider
from service.providers.sinch import errors as sinch_errors
from service.providers.sinch import reports as sinch_reports
from service.providers.twilio import errors as twilio_errors
from service.providers.twilio import reports as twilio_reports
from tests.conftest import ACCOUNT, BASE_URL, SINCH, TOKEN, make_settings
from tests.fakes import FakeProvider, fake_signature
from tests.service.inbound.conversation import PERSON, SENDER, form

REAL = configured(make_settings("sqlite:///unused.db", "redis://unused", **SINCH))


class Sample(ABC):
    """One provider and its callbacks."""

    provider: Provider
    words: Mapping[str, Status]
    codes: Collection[str] = ()
    sent: str
    delivered: str

    @abstractmethod
    def body(self, word: str, attempt: UUID, sid: str) -> bytes: ...

    @abstractmethod
    def inbound(self, text: str, sid: str) -> bytes:
        """Return a message from a person to our sender."""

    @abstractmethod
    def headers(self, path: str, body: bytes) -> dict[str, str]: ...

    def request(self, body: bytes, attempt: UUID) -> CallbackRequest:
        """Return a callback with a valid signature."""
        path = f"/callbacks/{self.provider.name}/{attempt}"
        return CallbackRequest(path, "", self.headers(path, body), body)


class TwilioSample(Sample):
    provider = REAL["twilio"]
    words = twilio_reports.STATUSES
    codes = twilio_errors.ERRORS
    sent, delivered = "sent", "delivered"

    def body(self, word: str, attempt: UUID, sid: str) -> bytes:
        return urlencode(self._form(word, sid)).encode()

    def inbound(self, text: str, sid: str) -> bytes:
        return urlencode(form(text, MessageSid=sid)).encode()

    def headers(self, path: str, body: bytes) -> dict[str, str]:
        fields = dict(parse_qsl(body.decode(), keep_blank_values=True))
        signature = RequestValidator(TOKEN).compute_signature(BASE_URL + path, fields)
        return {"x-twilio-signature": signature}

    @staticmethod
    def _form(word: str, sid: str) -> dict[str, str]:
        return {"AccountSid": ACCOUNT, "MessageSid": sid, "MessageStatus": word}


class SinchSample(Sample):
    provider = REAL["sinch"]
    words = sinch_reports.STATUSES
    codes = sinch_errors.ERRORS
    sent, delivered = "Dispatched", "Delivered"

    def body(self, word: str, attempt: UUID, sid: str) -> bytes:
        report = {
            "type": "recipient_delivery_report_sms",
            "batch_id": sid,
            "client_reference": str(attempt),
            "status": word,
        }
        return json.dumps(report).encode()

    def inbound(self, text: str, sid: str) -> bytes:
        numbers = {"from": PERSON[1:], "to": SENDER[1:]}
        return json.dumps({"type": "mo_text", "id": sid, "body": text, **numbers}).encode()

    def headers(self, path: str, body: bytes) -> dict[str, str]:
        secret = SINCH["SINCH_CALLBACK_SECRETS"].partition(",")[0].encode()
        now = str(int(time.time()))
        digest = hmac.digest(secret, body + f".nonce.{now}".encode(), hashlib.sha256)
        name = "x-sinch-webhook-signature"
        return {
            name: base64.b64encode(digest).decode(),
            f"{name}-algorithm": "HmacSHA256",
            f"{name}-nonce": "nonce",
            f"{name}-timestamp": now,
        }


class FakeSample(TwilioSample):
    provider = FakeProvider()
    codes = ()

    def headers(self, path: str, body: bytes) -> dict[str, str]:
        return {"x-fake-signature": fake_signature(path, body)}


SAMPLES: list[Sample] = [TwilioSample(), SinchSample(), FakeSample()]
