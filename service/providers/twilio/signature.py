"""Who may sign a callback, and whether one of them did.

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

from service.config.settings import Settings
from service.errors import Forged
from service.providers.base import CallbackRequest, RefusalAdvice
from service.providers.form import fields

# The names and values of a form, as they came.
Form = list[tuple[str, str]]

_SIGNATURE: Final = "x-twilio-signature"
_SIGNED_WITH: Final = "x-twilio-webhooks-signature-settings"
_BODY_HASH: Final = "bodySHA256"
_DEFAULT_PORTS: Final = {"https": 443, "http": 80}
_HMAC_SHA1: Final = "HMAC_SHA1"
_HASHES: Final = {_HMAC_SHA1: "sha1", "HMAC_SHA256": "sha256"}
# A real callback has about a dozen; the limit keeps a hostile body cheap.
_MAX_FIELDS: Final = 200


REFUSALS: Final = {
    "mismatch": RefusalAdvice(
        "the token does not match",
        "Set TWILIO_AUTH_TOKEN to the primary token of the account: a secondary token signs "
        "nothing. If it is, PUBLIC_BASE_URL is not the address that Twilio calls.",
    ),
    "unknown_key": RefusalAdvice(
        "they are signed with a shared key that is not in the settings",
        "Add the key to TWILIO_SHARED_KEYS.",
    ),
}


class SigningKey(NamedTuple):
    """A secret that may sign; the label says which one it was, in logs."""

    label: str
    secret: bytes
    algorithm: str = _HMAC_SHA1

    def __repr__(self) -> str:
        return f"SigningKey({self.label!r})"

    def signature(self, url: str, form: Form) -> bytes:
        """Return what Twilio writes into its header: over the URL, then names and values in order.

        Twilio's own validator gives the same (a property holds it) at four times the cost.
        """
        text = url + "".join([name + value for name, value in sorted(set(form))])
        return b64encode(hmac.digest(self.secret, text.encode(), _HASHES[self.algorithm]))


class Keyring:
    """The signing keys by account, and the shared keys by id."""

    def __init__(self, settings: Settings) -> None:
        self._by_account: dict[str, list[SigningKey]] = defaultdict(list)
        primary = settings.twilio_auth_token.get_secret_value()
        self._by_account[settings.twilio_account_sid].append(_key("primary", primary))
        for extra in settings.twilio_extra_auth_tokens:
            key = _key(extra.label, extra.token.get_secret_value())
            self._by_account[extra.account_sid].append(key)
        # Looked up by (id, algorithm): the header that names them is itself unsigned and must
        # not choose an algorithm for a key that is not configured for it.
        self._shared = {
            (shared.key_id, shared.algorithm): _key(
                shared.key_id, shared.secret.get_secret_value(), shared.algorithm
            )
            for shared in settings.twilio_shared_keys
        }

    def candidates(self, account_sid: str, signed_with: str | None) -> list[SigningKey]:
        """Return the keys that may have signed. Raises Forged for an unknown account or key."""
        # The account comes from the body, not yet verified: it only picks among known keys.
        if account_sid not in self._by_account:
            raise Forged("unknown_account")
        if signed_with is None:
            return self._by_account[account_sid]
        named = dict(part.strip().partition("=")[::2] for part in signed_with.split(","))
        shared = self._shared.get((named.get("key", ""), named.get("algorithm", _HMAC_SHA1)))
        if shared is None:
            raise Forged("unknown_key")
        return [shared]


def verify(request: CallbackRequest, base_urls: Sequence[str], keyring: Keyring) -> str:
    """Return the label of the key that signed the request. Raises Forged when none did.

    The URL that was signed begins with one of our addresses: older ones for older messages.
    """
    signature = request.headers.get(_SIGNATURE)
    if not signature:
        raise Forged("unsigned")
    form = parse_form(request)
    account = next((value for name, value in form if name == "AccountSid"), "")
    keys = keyring.candidates(account, request.headers.get(_SIGNED_WITH))
    rest = request.path + (f"?{request.query}" if request.query else "")
    for base_url in base_urls:
        key = signer(signature, base_url + rest, form, request.body, keys)
        if key is not None:
            return key.label
    raise Forged("mismatch")


def parse_form(request: CallbackRequest) -> Form:
    """Return the form as it was signed: blanks and repeated keys kept, nothing trimmed."""
    if _body_hash(request.query) is not None:
        return parse_qsl(request.query)
    if request.body.count(b"&") >= _MAX_FIELDS:
        raise Forged("unreadable")
    try:
        return fields(request.body.decode())
    except UnicodeDecodeError:
        raise Forged("unreadable") from None


def signer(
    signature: str,
    url: str,
    form: Form,
    body: bytes,
    keys: Iterable[SigningKey],
) -> SigningKey | None:
    """Return the first key under which the signature holds for this URL and form, or None.

    A URL with `bodySHA256` signs the body by its hash instead of by its fields.
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
    """Yield the URL as configured, then with its port dropped or the default one named.

    Twilio's back end is inconsistent about the port. The validator's own attempt at this
    mangles a URL with user information or an IPv6 host (twilio 9.13.0), hence ours.
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
