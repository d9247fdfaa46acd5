"""The Celery worker and its clock. `app` starts it, `tasks` is a table of contents."""
