"""Examples of requests and answers. Tests post the requests and compare the answers."""

from typing import Any, Final

MESSAGE_ID: Final = "01a1fd14-9522-7078-b19f-9ef257cf0b38"
_SID: Final = "SMadfbc73d5aaffffd1f0205540d8968d8"

NEW_MESSAGE: Final[dict[str, Any]] = {
    "to": "+14155552671",
    "body": "Your parcel is on its way.",
    "reference": "order-1842",
    "metadata": {"tenant": "acme", "priority": 2},
}
NEW_TEMPLATE: Final[dict[str, Any]] = {
    "to": "whatsapp:+14155552671",
    "from": "whatsapp:+15005550006",
    "content_sid": "HX0123456789abcdef0123456789abcdef",
    "content_variables": {"1": "Ada"},
}
NEW_BATCH: Final[dict[str, Any]] = {
    "messages": [
        {"to": "+14155552672", "body": "Your parcel is on its way."},
        {"to": "not a number", "body": "Your parcel is on its way."},
    ]
}

ACCEPTED: Final[dict[str, Any]] = {
    "id": MESSAGE_ID,
    "test": False,
    "redacted": False,
    "provider": "twilio",
    "to": "+14155552671",
    "from": "+15005550006",
    "messaging_service_sid": None,
    "body": "Your parcel is on its way.",
    "media_urls": None,
    "content_sid": None,
    "content_variables": None,
    "send_at": None,
    "validity_period": None,
    "reference": "order-1842",
    "metadata": {"tenant": "acme", "priority": 2},
    "priority": "normal",
    "resend_if_unknown": False,
    "smart_encoding": False,
    "encoding": "gsm-7",
    "created_at": "2026-11-21T07:49:06.978Z",
    "status": "pending",
    "final": False,
    "provider_sid": None,
    "error": None,
    "conflict": False,
    "segments": 1,
    "price": None,
    "submitted_at": None,
    "final_at": None,
    "updated_at": "2026-11-21T07:49:06.978Z",
}
DELIVERED: Final[dict[str, Any]] = {
    **ACCEPTED,
    "status": "delivered",
    "final": True,
    "provider_sid": _SID,
    "segments": 1,
    "submitted_at": "2026-11-21T07:49:07.003Z",
    "final_at": "2026-11-21T07:49:07.146Z",
    "updated_at": "2026-11-21T07:49:07.146Z",
}
CANCELED: Final[dict[str, Any]] = {
    **ACCEPTED,
    "status": "canceled",
    "final": True,
    "final_at": "2026-11-21T07:49:07.146Z",
    "updated_at": "2026-11-21T07:49:07.146Z",
}
FAILED: Final[dict[str, Any]] = {
    **DELIVERED,
    "status": "failed",
    "provider_sid": None,
    "error": {
        "code": "21610",
        "message": "Attempt to send to unsubscribed recipient",
        "explanation": "The recipient opted out. Never resend; only the recipient can opt in "
        "again.",
        "retryable": False,
    },
}
EXPIRED: Final[dict[str, Any]] = {
    **CANCELED,
    "validity_period": 60,
    "status": "expired",
    "error": {
        "code": "waybill_expired",
        "message": "Not sent after its deadline, 2026-11-21 07:50:06Z.",
        "explanation": "The validity period ended before the provider accepted it. Nothing was "
        "sent. Post it again if it is still useful.",
        "retryable": True,
    },
}
PAGE: Final[dict[str, Any]] = {"messages": [DELIVERED], "next_cursor": MESSAGE_ID}
LEDGER: Final[dict[str, Any]] = {
    "events": [
        {
            "status": "delivered",
            "provider_status": "delivered",
            "source": "callback",
            "provider": "twilio",
            "provider_sid": _SID,
            "attempt_id": "01a1fd14-9548-76d8-bc44-82bb097acef9",
            "error_code": None,
            "error_message": None,
            "received_at": "2026-11-21T07:49:07.146Z",
            "provider_time": None,
            "repeats": 0,
            "raw": {"MessageSid": _SID, "MessageStatus": "delivered"},
        }
    ]
}
_BAD_ADDRESS: Final[dict[str, Any]] = {
    "type": "about:blank",
    "title": "Invalid request",
    "status": 422,
    "detail": "the request has invalid fields; see errors",
    "errors": [
        {
            "field": "to",
            "message": "is not a phone number: write it in E.164 form, such as +14155552671",
        }
    ],
}
BATCH_ANSWER: Final[dict[str, Any]] = {
    "results": [
        {
            "status": 202,
            "message": {**ACCEPTED, "to": "+14155552672", "reference": None, "metadata": {}},
        },
        {"status": 422, "problem": _BAD_ADDRESS},
    ]
}
