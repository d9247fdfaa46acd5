"""X-Twilio-Signature, implemented from the documentation, without the SDK.

https://www.twilio.com/docs/usage/security#validating-requests
"""

import hmac
from base64 import b64encode
from collections.abc import Iterable
from urllib.parse import urlsplit, urlunsplit


def sign(token: str, url: str, params: Iterable[tuple[str, str]] = ()) -> str:
    """Sign a form. A pair that occurs twice counts once."""
    base = url + "".join(key + value for key, value in sorted(set(params)))
    return b64encode(hmac.digest(token.encode(), base.encode(), "sha1")).decode()


def signed_url(url: str) -> str:
    """Return the signed part of a callback URL: without fragment, user and password."""
    parts = urlsplit(url)
    if "@" not in parts.netloc:
        return url.partition("#")[0]
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2], fragment=""))
