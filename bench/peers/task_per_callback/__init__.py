"""One Celery task for each callback: the usual first design."""
