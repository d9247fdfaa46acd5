"""Message pages: search, messages in doubt, and the timeline of one message."""

from collections.abc import Sequence
from typing import Final
from uuid import UUID

from flask import Response, redirect, render_template, request, url_for
from werkzeug.wrappers import Response as AnyResponse

from service.addresses import UnusableAddress, addresses_of, recipient
from service.components import components
from service.domain.status import is_final
from service.models import Message
from service.operations.timeline import (
    MAX_EVENTS,
    MOVES,
    Timeline,
    describe_tries,
    next_step,
    read_timeline,
    waits_for,
)
from service.operations.webhooks import describe_delivery
from service.queries import clients, overview
from service.queries import search as queries
from service.queries.webhook_log import status_of
from service.web.ops.blueprint import blueprint
from service.web.ops.overview import fragment_response

_PAGE: Final = 50
_MAX_QUERY: Final = 255


@blueprint.get("/messages")
def search() -> str | AnyResponse:
    """Find messages by number, id, SID or reference; without a query, the newest."""
    query = request.args.get("q", "").strip()[:_MAX_QUERY]
    before = _uuid(request.args.get("before", ""))
    messages = _search(query, before)
    if query and len(messages) == 1 and before is None:
        return redirect(url_for("ops.message", message_id=messages[0].id), 303)
    page = messages[:_PAGE]
    older = page[-1].id if len(messages) > _PAGE else None
    return render_template("ops/messages.html", query=query, messages=page, older=older)


@blueprint.get("/doubts")
def in_doubt() -> str:
    """List messages in doubt, those that need a decision first."""
    return render_template("ops/in_doubt.html", messages=overview.in_doubt(_PAGE))


@blueprint.get("/messages/<uuid:message_id>")
def message(message_id: UUID) -> str:
    """Show everything that happened to one message."""
    timeline = read_timeline(message_id)
    return render_template(
        "ops/message.html",
        fragment=_fragment(timeline),
        message=timeline.message,
        final=is_final(timeline.message.status),
    )


@blueprint.get("/messages/<uuid:message_id>/live")
def message_live(message_id: UUID) -> Response:
    """Return the part of a message's page that changes, or 304."""
    return fragment_response(_fragment(read_timeline(message_id)))


def _search(query: str, before: UUID | None) -> Sequence[Message]:
    """Return messages that match a query, trying the most specific field first."""
    limit = _PAGE + 1
    if not query:
        return queries.latest(before, limit)
    if (uuid := _uuid(query)) is not None and (messages := queries.by_id(uuid)):
        return messages
    if "\x00" in query:  # PostgreSQL stores no such character
        return []
    return (
        queries.by_sid(query, limit)
        or queries.by_recipient(_recipients(query), before, limit)
        or queries.by_reference(query, before, limit)
    )


def _uuid(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None


def _recipients(query: str) -> list[str]:
    """Return the addresses to search for; the query itself matches the pseudonym of a number."""
    try:
        return addresses_of(recipient(query, components().settings.default_region))
    except UnusableAddress:
        return [query]


def _fragment(timeline: Timeline) -> str:
    return render_template(
        "ops/_message.html",
        timeline=timeline,
        message=timeline.message,
        attempt_numbers={
            entry.attempt.id: entry.attempt.number for entry in timeline.entries if entry.attempt
        },
        client=clients.name_of(timeline.message.client_id),
        final=is_final(timeline.message.status),
        waits_for=waits_for(timeline.message, timeline.hold),
        next_step=next_step(timeline.message, timeline.hold),
        describe_tries=describe_tries,
        describe_delivery=describe_delivery,
        status_of=status_of,
        moves=MOVES,
        max_events=MAX_EVENTS,
    )
