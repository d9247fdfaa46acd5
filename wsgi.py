"""The application for any WSGI server: `granian --interface wsgi wsgi:app`."""

from service.announcing import when_serving
from service.app import create_app, settle_memory

app = create_app()
when_serving(app)
settle_memory()
