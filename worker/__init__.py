"""The Celery worker and beat; `app` is the Celery application."""
