"""Twilio's error codes: of rejected requests, and of failed messages.

https://www.twilio.com/docs/api/errors
"""

from typing import Final

#: code: (HTTP status, message)
_REQUEST_ERRORS: Final[dict[int, tuple[int, str]]] = {
    10001: (403, "Account is not active"),
    20001: (400, "Invalid parameter"),
    20003: (401, "Authenticate"),
    20005: (403, "Account is not active"),
    20006: (403, "Access denied"),
    20008: (403, "Resource not accessible with Test Account Credentials"),
    20009: (409, "Cannot delete this resource before it is complete"),
    20010: (403, "This action is disabled for your account"),
    20403: (403, "Forbidden"),
    20404: (404, "The requested resource was not found"),
    20429: (429, "Too Many Requests"),
    20500: (500, "Internal Server Error"),
    20503: (503, "Service Unavailable"),
    21211: (400, "Invalid 'To' Phone Number"),
    21212: (400, "Invalid 'From' Phone Number"),
    21265: (400, "'To' number cannot be a Short Code"),
    21266: (400, "'To' and 'From' number cannot be the same"),
    21408: (403, "Permission to send has not been enabled for the region of the 'To' number"),
    21602: (400, "Message body is required"),
    21603: (400, "A 'From' phone number is required"),
    21604: (400, "A 'To' phone number is required"),
    21606: (400, "The 'From' phone number is not a valid, SMS-capable number of your account"),
    21608: (403, "The 'To' number is not verified for this account"),
    21609: (400, "The 'StatusCallback' URL is not a valid URL"),
    21610: (400, "Attempt to send to unsubscribed recipient"),
    21611: (429, "This 'From' number has exceeded the maximum number of queued messages"),
    21612: (400, "Message cannot be sent with the current combination of 'To' and 'From'"),
    21614: (400, "'To' number is not a valid mobile number"),
    21617: (400, "The concatenated message body exceeds the 1600 character limit"),
    21619: (400, "A text message body or media URLs must be specified"),
    21620: (400, "Invalid media URL"),
    21623: (400, "Number of media files exceeds the allowed limit"),
    21624: (400, "Invalid validity period"),
    21655: (400, "The ContentSid is invalid"),
    21656: (400, "The ContentVariables parameter is invalid"),
    21659: (400, "The 'From' number is not a Twilio number"),
    21660: (400, "The 'From' number belongs to another account"),
    21698: (400, "The body of a message can only be redacted, not changed"),
    21701: (404, "The Messaging Service does not exist"),
    21703: (400, "The Messaging Service has no sender for this message"),
    21704: (400, "The Messaging Service has no senders"),
    21705: (400, "The Messaging Service SID is invalid"),
    21910: (400, "'From' and 'To' belong to different channels"),
    30409: (409, "This message cannot be canceled"),
    35111: (400, "SendAt timestamp is missing"),
    35114: (400, "Scheduling does not support this timestamp"),
    35115: (400, "Scheduling does not support this timestamp"),
    35117: (400, "ScheduleType must be 'fixed' when SendAt is given"),
    35118: (400, "MessagingServiceSid is required to schedule a message"),
    # The status of these and of 10001, 20005 to 20010 is not documented.
    70051: (403, "Authorization failed"),
    90010: (403, "Account is not active"),
}

_MESSAGE_ERRORS: Final[dict[int, str]] = {
    30003: "Unreachable destination handset",
    30004: "Message blocked",
    30005: "Unknown destination handset",
    30006: "Landline or unreachable carrier",
    30007: "Message filtered",
    30008: "Unknown error",
    30036: "Validity period expired",
    63003: "Channel could not find To address",
    63010: "Channels - Twilio Internal error",
    63013: "Channel policy violation",
    63024: "Invalid message recipient",
}


class ApiError(Exception):
    """Rejects a request with one of Twilio's error codes."""

    def __init__(self, code: int, message: str | None = None) -> None:
        super().__init__(code)
        self.code = code
        self.status, default = _REQUEST_ERRORS[code]
        self.message = message or default

    @property
    def body(self) -> dict[str, object]:
        """Return the error in Twilio's format."""
        return error_body(self.code, self.status, self.message)


def error_body(code: int, status: int, message: str | None = None) -> dict[str, object]:
    """Return an error in Twilio's format."""
    _, default = _REQUEST_ERRORS.get(code, (status, f"Error {code}"))
    return {
        "code": code,
        "message": message or default,
        "more_info": f"https://www.twilio.com/docs/errors/{code}",
        "status": status,
    }


def request_status(code: int) -> int | None:
    """Return the HTTP status of a request that was rejected with this code."""
    return _REQUEST_ERRORS.get(code, (None,))[0]


def error_text(code: int | None) -> str | None:
    """Return the text of a message's error code."""
    return None if code is None else _MESSAGE_ERRORS.get(code, f"Error {code}")
