"""GET /metrics for Prometheus, and the metrics of every request."""

import re
import time
from functools import cache
from typing import Final

from flask import Blueprint, Flask, Response, current_app, g, request

from service.components import components
from service.errors import Unauthenticated
from service.observability.metrics import counting
from service.observability.metrics.exposition import CONTENT_TYPE, exposed, may_read
from service.operations.metric_readings import Readings

_EXTENSION: Final = "waybill-readings"

blueprint = Blueprint("metrics", __name__)


def init_app(app: Flask) -> None:
    """Register the route, and count every request that Flask dispatches."""
    app.extensions[_EXTENSION] = Readings(app.extensions["waybill"])
    app.before_request(_begin)
    app.after_request(_end)
    app.register_blueprint(blueprint)


@blueprint.get("/metrics")
def metrics() -> Response:
    """Return all metrics; if METRICS_TOKEN is set, only to requests that carry it."""
    if not may_read(components().settings.metrics_token, request.headers.get("Authorization", "")):
        raise Unauthenticated("send the token as 'Authorization: Bearer <METRICS_TOKEN>'")
    return Response(exposed(current_app.extensions[_EXTENSION]), content_type=CONTENT_TYPE)


def _begin() -> None:
    g.began = time.perf_counter()


def _end(response: Response) -> Response:
    began = g.get("began")
    if began is not None:
        rule = request.url_rule
        route = shown(rule.rule) if rule else None
        counting.request(request.method, route, response.status_code, began)
    return response


@cache
def shown(rule: str) -> str:
    """Return a route as the documents write it: `/v1/messages/{message_id}`."""
    return re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", rule)
