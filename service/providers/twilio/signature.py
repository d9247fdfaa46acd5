"""Check the signatures of Twilio's callbacks.

Source: https://www.twilio.com/docs/usage/security and, for shared keys (September 2026, beta),
https://www.twilio.com/docs/usage/webhooks/webhook-shared-keys.
"""

import hashlib
import hmac
from base64 import b64encode
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from typing import Final, NamedTuple
from urllib.parse import parse_qs, parse_qsl, urlsplit, urlunsplit

from service.config.accounts import TwilioAccount
from service.errors import Forged
from service.providers.base import CallbackRequest, RefusalAdvice
from service.providers.twilio.reports import form_fields

# The names and values of a form, in order.
Form = list[tuple[str, str]]

_SIGNATURE: Final = "x-twilio-signature"
_SIGNED_WITH: Final = "x-twilio-webhooks-signature-settings"
_BODY_HASH: Final = "bodySHA256"
_DEFAULT_PORTS: Final = {"https": 443, "http": 80}
_HMAC_SHA1: Final = "HMAC_SHA1"
_HASHES: Final = {_HMAC_SHA1: "sha1", "HMAC_SHA256": "sha256"}
# A real callback has about a dozen; the limit bounds the cost of a forged one.
_MAX_FIELDS: Final = 200


REFUSALS: Final = {
    "mismatch": RefusalAdvice(
        "the token does not match",
        "Set TWILIO_AUTH_TOKEN (in ACCOUNTS_FILE: auth_token of this account) to the primary token "
        "of the account: Twilio does not sign with the secondary token. If it is correct, set "
        "PUBLIC_BASE_URL to the address that Twilio calls.",
    ),
    "unknown_key": RefusalAdvice(
        "they are signed with a shared key that is not configured",
        "Add the key to TWILIO_SHARED_KEYS (in ACCOUNTS_FILE: shared_keys of this account).",
    ),
}


class SigningKey(NamedTuple):
    """A secret that Twilio may sign with, and its label for logs."""

    label: str
    secret: bytes
    algorithm: str = _HMAC_SHA1

    def __repr__(self) -> str:
        return f"SigningKey({self.label!r})"

    def signature(self, url: str, form: Form) -> bytes:
        """Return the signature of the URL followed by the sorted names and values.

        Twilio's validator returns the same (a property test compares them) in four times the time.
        """
        text = url + "".join([name + value for name, value in sorted(set(form))])
        return b64encode(hmac.digest(self.secret, text.encode(), _HASHES[self.algorithm]))


class Keyring:
    """The signing keys by account, and the shared keys by id."""

    def __init__(self, accounts: Iterable[TwilioAccount]) -> None:
        self._by_account: dict[str, list[SigningKey]] = defaultdict(list)
        # The key includes the algorithm: the header that names both is not signed, and must not
        # select an algorithm that is not configured for the key.
        self._shared: dict[tuple[str, str], SigningKey] = {}
        for account in accounts:
            self._add(account)

    def _add(self, account: TwilioAccount) -> None:
        keys = self._by_account[account.account_sid]
        if account.auth_token is not None:
            keys.append(_key("primary", account.auth_token.get_secret_value()))
        for extra in account.extra_auth_tokens:
            key = _key(extra.label, extra.token.get_secret_value())
            self._by_account[extra.account_sid or account.account_sid].append(key)
        for shared in account.shared_keys:
            key = _key(shared.key_id, shared.secret.get_secret_value(), shared.algorithm)
            self._shared[shared.key_id, shared.algorithm] = key

    def candidates(self, account_sid: str, signed_with: str | None) -> list[SigningKey]:
        """Return the keys to try. Raises Forged for an unknown account or key."""
        # The account in the body is not verified yet; it only selects among configured keys.
        if account_sid not in self._by_account:
            raise Forged("unknown_account")
        if signed_with is None:
            return self._by_account[account_sid]
        fields = dict(part.strip().partition("=")[::2] for part in signed_with.split(","))
        shared = self._shared.get((fields.get("key", ""), fields.get("algorithm", _HMAC_SHA1)))
        if shared is None:
            raise Forged("unknown_key")
        return [shared]


def verify(request: CallbackRequest, base_urls: Sequence[str], keyring: Keyring) -> str:
    """Return the label of the key that signed the request. Raises Forged if none did.

    The signed URL begins with one of our base URLs; older messages have an older one.
    """
    signature = request.headers.get(_SIGNATURE)
    if not signature:
        raise Forged("unsigned")
    form = parse_form(request)
    account = next((value for name, value in form if name == "AccountSid"), "")
    keys = keyring.candidates(account, request.headers.get(_SIGNED_WITH))
    path = request.path + (f"?{request.query}" if request.query else "")
    for base_url in base_urls:
        key = signer(signature, base_url + path, form, request.body, keys)
        if key is not None:
            return key.label
    raise Forged("mismatch")


def parse_form(request: CallbackRequest) -> Form:
    """Return the form as it was signed, with blanks and repeated names."""
    if _body_hash(request.query) is not None:
        return parse_qsl(request.query)
    if request.body.count(b"&") >= _MAX_FIELDS:
        raise Forged("unreadable")
    try:
        return form_fields(request.body.decode())
    except UnicodeDecodeError:
        raise Forged("unreadable") from None


def signer(
    signature: str,
    url: str,
    form: Form,
    body: bytes,
    keys: Iterable[SigningKey],
) -> SigningKey | None:
    """Return the first key whose signature matches this URL and form, or None.

    With `bodySHA256` in the URL, the hash of the body is signed instead of its fields.
    """
    digest = _body_hash(urlsplit(url).query) if _BODY_HASH in url else None
    if digest is not None:
        form = []
        if not hmac.compare_digest(
            hashlib.sha256(body).hexdigest().encode(), digest.lower().encode()
        ):
            return None
    presented = signature.encode()
    for key in keys:
        for variant in _port_variants(url):
            if hmac.compare_digest(key.signature(variant, form), presented):
                return key
    return None


def _key(label: str, secret: str, algorithm: str = _HMAC_SHA1) -> SigningKey:
    return SigningKey(label, secret.encode(), algorithm)


def _body_hash(query: str) -> str | None:
    if _BODY_HASH not in query:
        return None
    return parse_qs(query).get(_BODY_HASH, [None])[0]


def _port_variants(url: str) -> Iterator[str]:
    """Yield the configured URL, then the URL without its port or with the default port.

    Twilio signs either. Its own validator breaks URLs with user information or an IPv6 host
    (twilio 9.13.0).
    """
    yield url
    parts = urlsplit(url)
    userinfo, at, host_and_port = parts.netloc.rpartition("@")
    host = host_and_port
    if parts.port is not None:
        host = host_and_port.removesuffix(f":{parts.port}")
    elif parts.scheme in _DEFAULT_PORTS:
        host = f"{host_and_port}:{_DEFAULT_PORTS[parts.scheme]}"
    yield urlunsplit(parts._replace(netloc=f"{userinfo}{at}{host}"))
