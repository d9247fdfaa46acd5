"""Route of `/v1/events`: the events of a client, in one order."""

from flask import Blueprint, Response, jsonify, request

from service.event_feed import read as feed
from service.event_feed.cursor import Cursor, decode, encode
from service.event_feed.read import Page
from service.event_feed.start import ensure_started
from service.representations import events as representations
from service.web import thread_limit
from service.web.api import authentication
from service.web.api.event_schemas import NOW, EventQuery
from service.web.api.schemas import check

blueprint = Blueprint("events", __name__, url_prefix="/v1/events")
blueprint.before_request(authentication.authenticate)


@blueprint.get("")
def list_events() -> Response:
    """List events behind a cursor, the oldest first; wait for one if there is none."""
    page = _page(_query())
    return jsonify(
        events=representations.feed_items(page.events),
        next_cursor=encode(page.next),
        has_more=page.more,
    )


def _query() -> EventQuery:
    parameters = request.args.to_dict()
    if "types" in parameters:
        parameters["types"] = ",".join(request.args.getlist("types"))
    return check(EventQuery, parameters)


def _page(query: EventQuery) -> Page:
    client_id = authentication.client_id()
    ensure_started(client_id)
    page = feed.read(client_id, _after(query.after), query.limit, query.types)
    if page.is_last and query.wait:
        with thread_limit.waiting() as free:
            if free:
                return feed.wait(client_id, page.next, query.limit, query.types, query.wait)
    return page


def _after(text: str | None) -> Cursor | None:
    if text == NOW:
        return feed.end()
    return None if text is None else decode(text)
