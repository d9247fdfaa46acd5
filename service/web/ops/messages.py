"""Messages: search, and the timeline of one."""

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any, Final, NamedTuple
from uuid import UUID

from flask import Response, redirect, render_template, request, url_for
from werkzeug.wrappers import Response as AnyResponse

from service.addresses import UnusableAddress, addresses_of, recipient
from service.components import components
from service.domain.status import is_final
from service.models import Attempt, Message, StatusEvent
from service.operations import timeline
from service.queries import clients, message_details, overview
from service.queries import search as searching
from service.web.ops.blueprint import blueprint
from service.web.ops.overview import fragment_response

_PAGE: Final = 50
_LONGEST_QUERY: Final = 255
_MOST_EVENTS: Final = 500


class Moment(NamedTuple):
    """One thing that happened to a message. Exactly one of `attempt` and `event`, or neither."""

    at: datetime
    kind: str  # accepted, call, answer, event
    attempt: Attempt | None = None
    event: StatusEvent | None = None


@blueprint.get("/messages")
def search() -> str | AnyResponse:
    """Find messages by number, id, SID or reference; without a query, the newest."""
    query = request.args.get("q", "").strip()[:_LONGEST_QUERY]
    before = _uuid(request.args.get("before", ""))
    found = _found(query, before)
    if query and len(found) == 1 and before is None:
        return redirect(url_for("ops.message", message_id=found[0].id), 303)
    page, more = found[:_PAGE], len(found) > _PAGE
    return render_template(
        "ops/messages.html", query=query, found=page, older=page[-1].id if more else None
    )


@blueprint.get("/doubts")
def doubts() -> str:
    """List messages in doubt, those for a person to decide first."""
    return render_template("ops/doubts.html", found=overview.doubts(_PAGE))


@blueprint.get("/messages/<uuid:message_id>")
def message(message_id: UUID) -> str:
    """Show everything that happened to one message."""
    content = _story(message_id)
    fragment = render_template("ops/_message.html", **content)
    return render_template("ops/message.html", fragment=fragment, **content)


@blueprint.get("/messages/<uuid:message_id>/live")
def message_live(message_id: UUID) -> Response:
    """Answer with the moving part of a message's page, or 304 when nothing happened."""
    return fragment_response(render_template("ops/_message.html", **_story(message_id)))


def _found(query: str, before: UUID | None) -> Sequence[Message]:
    """Look where what was typed may stand, the most particular place first."""
    most = _PAGE + 1
    if not query:
        return searching.latest(before, most)
    if (either := _uuid(query)) is not None and (found := searching.by_id(either)):
        return found
    if "\x00" in query:
        return []
    return (
        searching.by_sid(query, most)
        or searching.by_recipient(_recipients(query), before, most)
        or searching.by_reference(query, before, most)
    )


def _uuid(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None


def _recipients(text: str) -> list[str]:
    """Return the addresses to search for; the text itself finds a name of a forgotten number."""
    try:
        return addresses_of(recipient(text, components().settings.default_region))
    except UnusableAddress:
        return [text]


def _story(message_id: UUID) -> dict[str, Any]:
    found, attempts = message_details.with_attempts(message_id)
    events = message_details.events(message_id, _MOST_EVENTS)
    moments = sorted(_moments(found, attempts, events), key=lambda one: one.at)
    return {
        "message": found,
        "moments": moments,
        "numbers": {one.id: one.number for one in attempts},
        "client": clients.name_of(found.client_id),
        "conflict": bool(found.failed_in & found.delivered_in),
        "final": is_final(found.status),
        "waits_for": timeline.waits_for(found),
        "next_step": timeline.next_step(found),
        "cut": len(events) == _MOST_EVENTS,
    }


def _moments(
    found: Message, attempts: Sequence[Attempt], events: Sequence[StatusEvent]
) -> Iterator[Moment]:
    yield Moment(found.created_at, "accepted")
    for attempt in attempts:
        yield Moment(attempt.started_at, "call", attempt)
        if attempt.answered_at is not None:
            yield Moment(attempt.answered_at, "answer", attempt)
    for event in events:
        yield Moment(event.received_at, "event", None, event)
