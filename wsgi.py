"""The application for any WSGI server: `granian --interface wsgi wsgi:app`."""

from service.announcing import when_serving
from service.app import create_app, settle_memory

app = create_app()
# Now, and not while the first visitor waits: a third of what the page of ops takes.
for _template in app.jinja_env.list_templates():
    app.jinja_env.get_template(_template)
when_serving(app)
settle_memory()
