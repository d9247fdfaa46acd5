"""X-Twilio-Signature, compared with official vectors and the official validator."""

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from twilio.request_validator import RequestValidator

from simulator.signature import sign, signed_url

VECTORS = Path(__file__).parents[1] / "fixtures" / "signature-vectors.json"
OFFICIAL = [
    vector
    for vector in json.loads(VECTORS.read_text())["twilio_hmac_sha1_official"]
    if vector["body"] is None and vector["expect_valid"]
]


@pytest.mark.parametrize("vector", OFFICIAL, ids=lambda vector: vector["id"])
def test_signature_matches_official_vectors(vector):
    pairs = [(key, value) for key, value in vector["params"] or []]
    assert sign(vector["token"], vector["signed_url"], pairs) == vector["signature"]


@settings(deadline=None)
@given(st.dictionaries(st.text(min_size=1), st.text()), st.text(min_size=1, max_size=40))
def test_official_validator_accepts_signatures(params, token):
    url = "https://example.com/status?a=%2F"
    assert RequestValidator(token).validate(url, params, sign(token, url, params.items()))


@pytest.mark.parametrize(
    ("configured", "signed"),
    [
        ("https://example.com/a?b=%27#rc=5&rp=all", "https://example.com/a?b=%27"),
        ("https://user:pass@example.com:8443/a?b=1#rc=5", "https://example.com:8443/a?b=1"),
        ("http://Example.COM/a/", "http://Example.COM/a/"),
    ],
)
def test_fragment_and_credentials_are_not_signed(configured, signed):
    assert signed_url(configured) == signed
