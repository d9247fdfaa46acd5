"""The JSON of the control API."""

import json
from datetime import datetime
from typing import Any

from aiohttp import web

from simulator.message import Message, Try


async def read_json(request: web.Request) -> dict[str, Any]:
    """Return the JSON object of a request. Raises HTTPBadRequest."""
    try:
        value = await request.json()
    except json.JSONDecodeError:
        value = None
    if not isinstance(value, dict):
        raise bad_request("the body must be a JSON object")
    return value


def bad_request(text: str) -> web.HTTPBadRequest:
    """Return the error of a control call that is not valid."""
    return web.HTTPBadRequest(text=text)


def message_entry(message: Message) -> dict[str, object]:
    """Return the record of one message."""
    return {
        "number": message.number,
        "provider": message.order.provider,
        "account": message.order.account.id,
        "sid": message.sid,
        "to": message.order.to,
        "from": message.sender,
        "messaging_service_sid": message.order.service,
        "body": message.body,
        "text": message.order.body,
        "body_sha256": message.body_sha256,
        "created_at": iso(message.created_at),
        "status": message.status,
        "statuses": message.statuses,
        "error_code": message.error_code,
        "on_air": len(message.on_air),
        "on_air_at": [*map(iso, message.on_air)],
        "expires_at": iso(message.expires_at),
        "deleted": message.deleted,
        "fault": message.fault,
        "attempt_id": message.order.attempt_id,
        "reference": message.order.reference,
        "status_callback": message.order.status_callback,
        "callbacks": [*map(try_entry, message.tries)],
        "dropped": message.dropped,
    }


def try_entry(entry: Try) -> dict[str, object]:
    """Return the record of one callback request."""
    return {
        "status": entry.status,
        "url": entry.url,
        "token": entry.token,
        "try": entry.number,
        "copy": entry.copy,
        "at": iso(entry.at),
        "answer": entry.answer,
        "error": entry.error,
    }


def iso(moment: datetime | None) -> str | None:
    """Return a time in ISO 8601."""
    return moment.isoformat() if moment else None
