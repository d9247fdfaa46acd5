"""The application for any WSGI server: `granian --interface wsgi wsgi:app`."""

import os
import socket

from service.app import create_app
from service.presence import keep_announcing

app = create_app()
if "FLASK_RUN_FROM_CLI" not in os.environ:  # a command is no replica
    keep_announcing(
        app.extensions["waybill"].presence, "web", f"{socket.gethostname()}-{os.getpid()}", ()
    )
