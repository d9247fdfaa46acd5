"""The application for any WSGI server: `granian --interface wsgi wsgi:app`."""

from service.app import create_app, settle_memory
from service.coordination.heartbeat_thread import when_serving
from service.warming import warm_up
from service.web.ops import require_secret

app = create_app()
require_secret(app)
warm_up(app)
when_serving(app, app.extensions["waybill"].heartbeats)
settle_memory()
