"""A callback is accepted only with a valid signature of Twilio over its exact bytes."""

import base64
import hashlib
import hmac
import json
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st
from twilio.request_validator import RequestValidator
from werkzeug.datastructures import MultiDict

from service.errors import Forged
from service.providers.base import CallbackRequest
from service.providers.twilio import signature
from service.providers.twilio.signature import Keyring, SigningKey
from tests.conftest import ACCOUNT, BASE_URL, TOKEN, make_settings

VECTORS = json.loads((Path(__file__).parents[3] / "fixtures/signature-vectors.json").read_text())
OFFICIAL = VECTORS["twilio_hmac_sha1_official"]
DERIVED = VECTORS["twilio_derived_not_official"]

SUBACCOUNT = "AC00000000000000000000000000000002"
STRANGER = "AC00000000000000000000000000000009"
SHARED = "webhooks_sharedkey_00000000000000000000000000"
SETTINGS = f"key={SHARED},algorithm=HMAC_SHA256"
SECRET = "shared-key-secret-for-tests"
PATH = "/callbacks/twilio/0198d1c5-0000-7000-8000-000000000001"
FORM = {"AccountSid": ACCOUNT, "MessageSid": "SM1", "MessageStatus": "delivered", "Blank": ""}
URL = BASE_URL + PATH

DEFAULT = make_settings(
    "sqlite:///unused.db",
    "redis://unused",
    TWILIO_EXTRA_AUTH_TOKENS=f"{ACCOUNT}:next:67890,{SUBACCOUNT}:sub:sub:token",
    TWILIO_SHARED_KEYS=f"{SHARED}:HMAC_SHA256:{SECRET}",
).default_twilio_account
assert DEFAULT is not None
KEYRING = Keyring([DEFAULT])

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
forms = st.dictionaries(texts, texts, max_size=8).map(lambda more: {**more, "AccountSid": ACCOUNT})


def sign(url: str, form: dict[str, str], token: str = TOKEN, algorithm: str = "sha1") -> str:
    """Sign as documented by Twilio, without its library."""
    text = url + "".join(key + form[key] for key in sorted(form))
    return base64.b64encode(hmac.digest(token.encode(), text.encode(), algorithm)).decode()


GENUINE = sign(URL, FORM)
HUNDREDS = {**FORM, **{f"Field{number}": "x" for number in range(200)}}


def request(
    signed: str | None,
    form: dict[str, str] | bytes = FORM,
    *,
    path: str = PATH,
    query: str = "",
    signed_with: str | None = None,
) -> CallbackRequest:
    headers = {"x-twilio-signature": signed, "x-twilio-webhooks-signature-settings": signed_with}
    return CallbackRequest(
        path=path,
        query=query,
        headers={name: value for name, value in headers.items() if value is not None},
        body=form if isinstance(form, bytes) else urlencode(form).encode(),
    )


def by(token: str, account: str) -> CallbackRequest:
    form = {**FORM, "AccountSid": account}
    return request(sign(URL, form, token), form)


def verify(callback: CallbackRequest, base_url: str = BASE_URL) -> str:
    return signature.verify(callback, [base_url], KEYRING)


def refusal(callback: CallbackRequest) -> str:
    with pytest.raises(Forged) as caught:
        verify(callback)
    return caught.value.reason


@pytest.mark.parametrize("vector", OFFICIAL, ids=lambda vector: vector["id"])
def test_official_vectors_are_accepted(vector: dict[str, Any]) -> None:
    key = SigningKey("official", vector["token"].encode())
    form = [(name, value) for name, value in vector["params"]]
    body = (vector["body"] or "").encode()

    signer = signature.signer(vector["signature"], vector["presented_url"], form, body, [key])

    assert signer == (key if vector["expect_valid"] else None)


@pytest.mark.parametrize(
    ("vector", "label"), [(DERIVED[0], SHARED), (DERIVED[1], "primary")], ids=["sha256", "sha1"]
)
def test_token_and_shared_key_are_accepted(vector: dict[str, Any], label: str) -> None:
    url = urlsplit(vector["signed_url"])
    headers = {name.lower(): value for name, value in vector["headers"].items()}
    body = urlencode(dict(vector["params"])).encode()
    callback = CallbackRequest(url.path, url.query, headers, body)

    assert verify(callback, f"{url.scheme}://{url.netloc}") == label


@pytest.mark.parametrize(
    ("callback", "reason"),
    [
        (request(None), "unsigned"),
        (request(""), "unsigned"),
        (request("nonsense"), "mismatch"),
        (request("n\u00f6nsense"), "mismatch"),
        (request("x", {**FORM, "AccountSid": STRANGER}), "unknown_account"),
        (request("x", b""), "unknown_account"),
        (request("x", b"AccountSid=" + ACCOUNT.encode() + b"&Body=\xff"), "unreadable"),
        (request(sign(URL, HUNDREDS), HUNDREDS), "unreadable"),
        (request(sign(URL, {}), b'{"AccountSid": "%s"}' % ACCOUNT.encode()), "unknown_account"),
        (request("x", signed_with="key=webhooks_sharedkey_1,algorithm=HMAC_SHA256"), "unknown_key"),
        (request("x", signed_with="nonsense"), "unknown_key"),
        (request(sign(URL, FORM, TOKEN, "sha256"), signed_with=SETTINGS), "mismatch"),
        (by("sub:token", ACCOUNT), "mismatch"),
        (by(TOKEN, SUBACCOUNT), "mismatch"),
        (by("67890", SUBACCOUNT), "mismatch"),
    ],
)
def test_callback_without_a_signature_is_refused(callback: CallbackRequest, reason: str) -> None:
    assert refusal(callback) == reason


@pytest.mark.parametrize("choice", [",algorithm=HMAC_SHA1", "", ",algorithm=none", ",algorithm="])
def test_unsigned_header_cannot_select_another_algorithm(choice: str) -> None:
    """Even with the right secret: the key is configured for SHA-256 only."""
    signed = sign(URL, FORM, SECRET, "sha1")

    assert refusal(request(signed, signed_with=f"key={SHARED}{choice}")) == "unknown_key"


@pytest.mark.parametrize(
    ("account", "token", "label"),
    [(ACCOUNT, TOKEN, "primary"), (ACCOUNT, "67890", "next"), (SUBACCOUNT, "sub:token", "sub")],
)
def test_every_token_is_used_for_its_account(account: str, token: str, label: str) -> None:
    assert verify(by(token, account)) == label


@pytest.mark.parametrize(
    "changed",
    [
        request(GENUINE, {**FORM, "MessageStatus": "failed"}),
        request(GENUINE, {**FORM, "ErrorCode": "30003"}),
        request(GENUINE, {**FORM, "Blank": " "}),
        request(GENUINE, {key: value for key, value in FORM.items() if value}),
        request(GENUINE, path=f"{PATH}/"),
        request(GENUINE, path=PATH.upper()),
        request(GENUINE, query="a=1"),
        request(sign(f"{URL}?a=1", FORM), query="a=2"),
        request(sign(f"{URL}?a=%2F", FORM), query="a=/"),
        request(sign(URL.replace(".com", ".com:8443"), FORM)),
        request(sign(URL.replace("https:", "http:"), FORM)),
    ],
)
def test_changed_callback_is_refused(changed: CallbackRequest) -> None:
    assert refusal(changed) == "mismatch"


def test_repeated_fields_are_signed_once_and_in_order() -> None:
    form = {**FORM, "MediaUrl": "aMediaUrlb"}
    body = urlencode([*FORM.items(), *(("MediaUrl", value) for value in "bab")]).encode()

    assert verify(request(sign(URL, form), body)) == "primary"


@pytest.mark.parametrize("query", ["note_id=a%2Fb", "note=It%27s+here", "a=%20&b=", "a"])
def test_query_is_signed_as_written(query: str) -> None:
    assert verify(request(sign(f"{URL}?{query}", FORM), query=query)) == "primary"


@pytest.mark.parametrize(
    ("configured", "signed"),
    [
        ("https://sms.example.com", "https://sms.example.com:443"),
        ("http://sms.example.com", "http://sms.example.com:80"),
        ("https://sms.example.com:443", "https://sms.example.com"),
        ("https://sms.example.com:8443", "https://sms.example.com"),
        ("https://user:pass@sms.example.com:8443", "https://user:pass@sms.example.com"),
        ("https://user:pass@sms.example.com", "https://user:pass@sms.example.com:443"),
        ("https://[2001:db8::1]:8443", "https://[2001:db8::1]"),
        ("https://[2001:db8::1]", "https://[2001:db8::1]:443"),
        ("https://sms.example.com/behind/a/proxy", "https://sms.example.com:443/behind/a/proxy"),
    ],
)
def test_port_may_be_signed_or_omitted(configured: str, signed: str) -> None:
    assert verify(request(sign(signed + PATH, FORM)), configured) == "primary"


def test_body_may_be_signed_by_its_hash() -> None:
    body = b'{"MessageStatus": "delivered"}'
    query = f"AccountSid={ACCOUNT}&bodySHA256={hashlib.sha256(body).hexdigest().upper()}"
    signed = sign(f"{URL}?{query}", {})

    assert verify(request(signed, body, query=query)) == "primary"
    assert refusal(request(signed, body + b" ", query=query)) == "mismatch"


@pytest.mark.parametrize("digest", ["", "0", "%C3%A9", "%FF", "%00", "%ED%A0%80"])
def test_invalid_body_hash_is_refused(digest: str) -> None:
    """Anyone can write the query, so no value may cause a crash."""
    query = f"AccountSid={ACCOUNT}&bodySHA256={digest}"

    assert refusal(request(sign(f"{URL}?{query}", {}), b"{}", query=query))


@pytest.mark.parametrize("algorithm", ["HMAC_SHA1", "HMAC_SHA256"])
@given(names=st.lists(st.tuples(st.sampled_from(["a", "b", "B", "a0", ""]), texts), max_size=8))
def test_signature_equals_the_official_library(
    algorithm: str, names: list[tuple[str, str]]
) -> None:
    """Also for repeated names and values."""
    form: dict[str, list[str]] = {}
    for name, value in names:
        form.setdefault(name, []).append(value)
    official = RequestValidator(TOKEN).compute_signature(URL, MultiDict(form), algorithm)

    assert SigningKey("ours", TOKEN.encode(), algorithm).signature(URL, names) == official.encode()


def test_signing_key_does_not_show_its_secret() -> None:
    assert "12345" not in repr([SigningKey("primary", b"12345")])


@given(forms)
def test_signature_over_any_form_is_accepted(form: dict[str, str]) -> None:
    assert verify(request(sign(URL, form), form)) == "primary"


@given(form=forms, pick=st.integers(min_value=0), change=texts.filter(bool))
def test_signature_is_refused_for_any_other_request(
    form: dict[str, str], pick: int, change: str
) -> None:
    signed = sign(URL, form)
    name = sorted(form)[pick % len(form)]
    others = {key: value for key, value in form.items() if key != name}

    for changed in (
        request(signed, {**form, name: form[name] + change}),
        request(signed, {**others, name + "\U0010fffd" + change: form[name]}),
        request(signed, form, path=PATH + change),
        request(signed, form, query=change),
    ):
        assert refusal(changed) in {"mismatch", "unknown_account"}


@given(signed=st.text(), body=st.binary(), query=st.text(), signed_with=st.none() | st.text())
def test_any_forged_request_is_only_refused(
    signed: str, body: bytes, query: str, signed_with: str | None
) -> None:
    form = f"AccountSid={ACCOUNT}&".encode() + body

    assert refusal(request(signed, form, query=query, signed_with=signed_with))
