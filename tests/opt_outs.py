"""Opt-outs for tests, and those that are stored."""

from datetime import UTC, datetime

from sqlalchemy import select

from service.database import db, transaction
from service.domain.opt_out import PROVIDER
from service.models import OptOut
from service.queries import opt_outs
from service.queries.opt_outs import Change, Pair

PERSON, SENDER = "+14155552671", "+15005550006"


def store(
    to: str = PERSON, sender: str = SENDER, since: datetime | None = None, provider: str = "twilio"
) -> None:
    """Store an opt-out that a refusal of the provider began."""
    at = since or datetime.now(UTC)
    with transaction():
        pair = Pair(to, sender, provider)
        opt_outs.change([Change(pair, True, at, PROVIDER, PROVIDER, "21610")])


def stored() -> list[tuple[str, str, str]]:
    """Return recipient, sender and provider of the active opt-outs."""
    db.session.rollback()
    key = (OptOut.to, OptOut.sender, OptOut.provider)
    rows = db.session.execute(select(*key).where(OptOut.active).order_by(*key))
    return [tuple(row) for row in rows]
