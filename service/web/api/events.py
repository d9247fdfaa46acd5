"""Route of `/v1/events`: the events of a client, in one order."""

from flask import Blueprint, Response, jsonify, request

from service.event_feed import cursor
from service.event_feed.read import read
from service.representations import events as representations
from service.web.api import authentication
from service.web.api.event_schemas import EventQuery
from service.web.api.schemas import check

blueprint = Blueprint("events", __name__, url_prefix="/v1/events")
blueprint.before_request(authentication.authenticate)


@blueprint.get("")
def list_events() -> Response:
    """List events behind a cursor, the oldest first; wait for one if there is none."""
    query = check(EventQuery, request.args.to_dict())
    after = cursor.START if query.after is None else cursor.decode(query.after)
    page = read(authentication.client_id(), after, query.limit, query.wait)
    return jsonify(
        events=representations.feed_items(page.events),
        next_cursor=cursor.encode(page.next),
        has_more=page.more,
    )
