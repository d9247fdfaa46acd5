"""Checks the URLs of webhook endpoints."""

from service.components import components
from service.errors import FieldError, Invalid
from service.webhook_client import url as urls


def checked_url(url: str) -> str:
    """Return a normalised URL to which webhooks may be sent. Raises Invalid."""
    try:
        return urls.checked_url(url, components().settings)
    except ValueError as error:
        problem = FieldError("url", str(error))
        raise Invalid("no webhook can be sent to this URL; see errors", [problem]) from None
