# Read by the `flask` command, so that it does not find wsgi.py: web servers only import that one.
FLASK_APP=service.app
