"""Parses what a person writes, from a call of the control API."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

from simulator.accounts import Account, Accounts
from simulator.faults import ON_CALLBACK
from simulator.inbound.message import InboundText
from simulator.inbound.persons import reply_to
from simulator.message import Message
from simulator.records import Records

_NAMES = (
    *("provider", "account", "from", "to", "messaging_service_sid", "body", "media", "fields"),
    *("in_reply_to", "faults", "sid", "received_at", "wait"),
)


def read_text(fields: Mapping[str, Any], accounts: Accounts, records: Records) -> InboundText:
    """Return what a person writes. Raises ValueError.

    Without `to`, the person answers the last message; with `in_reply_to`, the one with this SID,
    and the provider names it.
    """
    if unknown := sorted(fields.keys() - {*_NAMES}):
        raise ValueError(f"unknown fields {unknown}; use {', '.join(_NAMES)}")
    answered = _answered(fields, records)
    body, extra = fields.get("body", ""), fields.get("fields", {})
    if not isinstance(body, str) or not isinstance(extra, dict):
        raise ValueError("body must be a text, and fields an object")
    named = "in_reply_to" in fields
    text = reply_to(answered, body, named=named) if answered else _new_text(fields, accounts, body)
    return replace(text, media=_texts(fields, "media"), fields=extra)


def read_faults(fields: Mapping[str, Any]) -> frozenset[str] | None:
    """Return the faults of a message; None for those of the configured rates."""
    if "faults" not in fields:
        return None
    faults = frozenset(_texts(fields, "faults"))
    if unknown := sorted(faults - frozenset(ON_CALLBACK)):
        raise ValueError(f"not faults of callbacks: {unknown}; use {', '.join(ON_CALLBACK)}")
    return faults


def read_sid(fields: Mapping[str, Any], records: Records) -> str | None:
    """Return the SID that the message must have; None for a new one."""
    sid = _text(fields, "sid")
    if sid and records.inbound.find(sid):
        raise ValueError(f"{sid} exists; POST /_simulator/inbound/{sid}/repeat sends it again")
    return sid


def read_time(fields: Mapping[str, Any]) -> datetime | None:
    """Return when the message was written; None for now."""
    text = _text(fields, "received_at")
    moment = datetime.fromisoformat(text) if text else None
    if moment and moment.tzinfo is None:
        raise ValueError("received_at must have a time zone")
    return moment


def _answered(fields: Mapping[str, Any], records: Records) -> Message | None:
    """Return the message that is answered; None if the text goes to a number."""
    sid = _text(fields, "in_reply_to")
    if sid:
        message = records.find(sid)
    elif "to" in fields:
        return None
    else:
        received = records.newest_first(_required(fields, "from"))
        message = next((each for each in received if each.on_air), None)
    if message is None or message.sender is None:
        raise ValueError("no message to answer; write `to`, and `provider` or `account`")
    return message


def _new_text(fields: Mapping[str, Any], accounts: Accounts, body: str) -> InboundText:
    return InboundText(
        account=_account(fields, accounts),
        sender=_required(fields, "from"),
        to=_required(fields, "to"),
        service=_text(fields, "messaging_service_sid"),
        body=body,
    )


def _account(fields: Mapping[str, Any], accounts: Accounts) -> Account:
    """Return the named account, else the first of the provider."""
    provider, name = _text(fields, "provider"), _text(fields, "account")
    matching = (
        account
        for account in accounts
        if provider in (None, account.provider) and name in (None, account.id)
    )
    account = next(matching, None)
    if account is None or not (provider or name):
        raise ValueError("provider must be twilio or sinch, or account the ID of an account")
    return account


def _required(fields: Mapping[str, Any], name: str) -> str:
    text = _text(fields, name)
    if not text:
        raise ValueError(f"{name} is missing")
    return text


def _text(fields: Mapping[str, Any], name: str) -> str | None:
    value = fields.get(name)
    if value is not None and not isinstance(value, str):
        raise ValueError(f"{name} must be a text")
    return value


def _texts(fields: Mapping[str, Any], name: str) -> tuple[str, ...]:
    values = fields.get(name, [])
    if not isinstance(values, list) or not all(isinstance(value, str) for value in values):
        raise ValueError(f"{name} must be a list of texts")
    return tuple(values)
