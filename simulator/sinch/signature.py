"""x-sinch-webhook-signature, implemented from the documentation.

https://developers.sinch.com/docs/sms/api-reference/sms/tag/Webhooks/
"""

import hmac
from base64 import b64encode


def signed_headers(secret: str, body: bytes, nonce: str, timestamp: int) -> dict[str, str]:
    """Sign a body; return the headers."""
    signed = body + f".{nonce}.{timestamp}".encode()
    return {
        "x-sinch-webhook-signature": b64encode(
            hmac.digest(secret.encode(), signed, "sha256")
        ).decode(),
        "x-sinch-webhook-signature-algorithm": "HmacSHA256",
        "x-sinch-webhook-signature-nonce": nonce,
        "x-sinch-webhook-signature-timestamp": str(timestamp),
    }
