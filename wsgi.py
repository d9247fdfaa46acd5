"""The WSGI application of the web server: `granian --interface wsgi wsgi:app`.

Only web servers import this module: it starts the heartbeats of a web process. Commands use
`flask --app service.app`.
"""

from service.app import create_app, tune_garbage_collector
from service.coordination.heartbeat_thread import start_in_web_process
from service.web.ops.secret import require_secret
from service.webhooks.start_check import warn_without_keys

app = create_app()
require_secret(app)
warn_without_keys(app)
start_in_web_process(app.extensions["waybill"].heartbeats)
tune_garbage_collector()
