"""Queries on the senders of clients."""

from collections.abc import Collection

from sqlalchemy import select

from service.database import db
from service.models import ClientSender
from service.queries.dialect import any_of


def owners(senders: Collection[str]) -> dict[str, int]:
    """Return the clients that own these senders, by sender."""
    query = select(ClientSender.sender, ClientSender.client_id)
    rows = db.session.execute(query.where(any_of(ClientSender.sender, senders)))
    return {row.sender: row.client_id for row in rows}
