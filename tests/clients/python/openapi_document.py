"""The OpenAPI document that the server serves: `python -m tests.clients.python.openapi_document`.

It depends neither on a database nor on Redis.
"""

import json
from typing import Any

from service.app import create_app
from tests.conftest import SINCH, make_settings


def document() -> Any:
    """Return the document of this version, with both providers."""
    settings = make_settings("sqlite:///unused.db", "redis://127.0.0.1:1", **SINCH)
    return create_app(settings).test_client().get("/openapi.json").json


if __name__ == "__main__":
    print(json.dumps(document()))  # noqa: T201 - the output is its purpose
