"""Compares inbound messages and opt-outs with the records of the simulated provider."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, or_, select

from demo.accounting import print_checks
from demo.stack import Stack
from service.app import create_app
from service.config.settings import Settings
from service.database import db
from service.models import InboundMessage, OptOut

_BEGINS = {"STOP": True, "START": False}


class Recorded(NamedTuple):
    """What Waybill recorded of the recipients' words."""

    sids: Sequence[str]
    opted_out: set[str]  # recipients


def recorded(stack: Stack) -> Recorded:
    """Read the SIDs of inbound messages, and who opted out, from Waybill's database."""
    app = create_app(Settings.load(stack.environment))
    with app.app_context():
        return Recorded(
            db.session.scalars(select(InboundMessage.provider_sid)).all(),
            set(db.session.scalars(select(OptOut.to).where(OptOut.active, _by_word()))),
        )


def _by_word() -> ColumnElement[bool]:
    """Select the opt-outs of recipients who wrote; a provider's refusal began the others."""
    wrote = OptOut.to.in_(select(InboundMessage.from_address))
    return or_(OptOut.reason == "keyword", wrote)


def compare_inbound(written: Sequence[Mapping[str, Any]], recorded: Recorded) -> bool:
    """Print the comparison with what the recipients wrote; return whether all checks pass."""
    acknowledged = {each["sid"] for each in written if each["acknowledged"]}
    lost = len(acknowledged - set(recorded.sids))
    unknown = len(set(recorded.sids) - {each["sid"] for each in written})
    twice = len(recorded.sids) - len(set(recorded.sids))
    words = {each["from"]: each["body"] for each in written if each["body"] in _BEGINS}
    stopped = {recipient for recipient, word in words.items() if _BEGINS[word]}
    wrong = len(stopped ^ recorded.opted_out)
    return print_checks(
        {
            f"inbound     {len(written)} written, {len(acknowledged)} acknowledged,"
            f" {len(recorded.sids)} recorded, {lost} lost, {twice} twice": (
                bool(written) and not lost and not unknown and not twice
            ),
            f"opt-outs    {len(stopped)} wrote STOP last,"
            f" {len(recorded.opted_out)} opted out, {wrong} wrong": not wrong,
        }
    )
