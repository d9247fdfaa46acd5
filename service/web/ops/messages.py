"""Message pages: search, messages in doubt, and the timeline of one message."""

from collections.abc import Sequence
from typing import Final
from uuid import UUID

from flask import Response, redirect, render_template, request, url_for
from werkzeug.wrappers import Response as AnyResponse

from service.addresses import addresses_of
from service.database.replica import from_replica
from service.domain.status import is_final
from service.errors import NotFound
from service.models import Message
from service.operations import inbound
from service.operations.conversation import has_written
from service.operations.persons import named, person_in
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
@from_replica()
def search() -> str | AnyResponse:
    """Find messages by number, id, SID or reference; without a query, the newest."""
    query = request.args.get("q", "").strip()[:_MAX_QUERY]
    before = _uuid(request.args.get("before", ""))
    messages = _search(query, before)
    if query and before is None and (page := _only_match(query, messages)):
        return redirect(page, 303)
    shown = messages[:_PAGE]
    older = shown[-1].id if len(messages) > _PAGE else None
    person = person_in(query)
    return render_template(
        "ops/messages.html", query=query, messages=shown, older=older, person=person
    )


@blueprint.get("/doubts")
@from_replica()
def in_doubt() -> str:
    """List messages in doubt, those that need a decision first."""
    return render_template("ops/in_doubt.html", messages=overview.in_doubt(_PAGE))


@blueprint.get("/messages/<uuid:message_id>")
@from_replica()
def message(message_id: UUID) -> str | AnyResponse:
    """Show everything that happened to one message; redirect to the page of an inbound message."""
    try:
        timeline = read_timeline(message_id)
    except NotFound:
        if inbound.find(str(message_id)) is None:
            raise
        return redirect(url_for("ops.inbound_message", message_id=message_id), 303)
    return render_template(
        "ops/message.html",
        fragment=_fragment(timeline),
        message=timeline.message,
        final=is_final(timeline.message.status),
    )


@blueprint.get("/messages/<uuid:message_id>/live")
@from_replica()
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
        or queries.by_recipient(addresses_of(named(query)), before, limit)
        or queries.by_reference(query, before, limit)
    )


def _uuid(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None


def _only_match(query: str, messages: Sequence[Message]) -> str | None:
    """Return the page of the only match of a query: a message, or one that was received.

    A number that has written has a page for both directions.
    """
    if len(messages) > 1 or "\x00" in query:
        return None
    person = person_in(query)
    if person is not None and has_written(person):
        return url_for("ops.conversation", number=person)
    if messages:
        return url_for("ops.message", message_id=messages[0].id)
    received = inbound.find(query)
    return url_for("ops.inbound_message", message_id=received.id) if received else None


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
