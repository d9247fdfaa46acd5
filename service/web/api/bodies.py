"""The JSON body of a request."""

from typing import Any

from flask import request
from werkzeug.exceptions import BadRequest

from service.errors import ClientError


def json_body() -> Any:
    """Return the JSON of this request. Raises ClientError."""
    if not request.is_json:
        raise ClientError("the request must have Content-Type: application/json")
    try:
        return request.get_json()
    except (BadRequest, RecursionError):
        raise ClientError("the body must be valid JSON") from None
