"""Authenticate a client by its API key, sent as a bearer token."""

from typing import Final

from flask import g, request
from structlog.contextvars import bind_contextvars

from service.errors import Unauthenticated
from service.queries import clients
from service.queries.clients import KeyOwner

_MISSING: Final = "send your API key in the header 'Authorization: Bearer <key>'"
UNKNOWN_KEY: Final = "the API key is unknown or revoked; ask an operator for a new key"


def authenticate() -> None:
    """Look up the client of this request. Raises Unauthenticated."""
    if request.method == "OPTIONS":
        return
    scheme, _, key = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not key:
        raise Unauthenticated(_MISSING)
    owner = clients.owner_of(key.strip())
    if owner is None:
        raise Unauthenticated(UNKNOWN_KEY)
    g.client = owner
    bind_contextvars(client_id=owner.id)


def client() -> KeyOwner:
    """Return the client that `authenticate` found."""
    owner: KeyOwner = g.client
    return owner


def client_id() -> int:
    """Return the id of the client that `authenticate` found."""
    return client().id
