"""Checks the URLs of webhook endpoints."""

from urllib.parse import urlsplit

from service.components import components
from service.errors import FieldError, Invalid
from service.webhook_client.client import resolve
from service.webhook_client.destination import Forbidden


def checked_url(url: str) -> str:
    """Return a URL to which webhooks may be sent. Raises Invalid."""
    try:
        return _checked(url)
    except ValueError as error:
        problem = FieldError("url", str(error))
        raise Invalid("no webhook can be sent to this URL; see errors", [problem]) from None


def _checked(url: str) -> str:
    settings, parts = components().settings, urlsplit(url)
    if parts.scheme != "https" and not settings.webhook_allow_http:
        raise ValueError("must start with https://")
    try:
        resolve(parts.hostname or "", parts.port or 443, settings.webhook_networks)
    except Forbidden as error:
        raise ValueError(f"must not lead there: {error}") from None
    except OSError:
        raise ValueError("must have a host name that can be resolved") from None
    return url
