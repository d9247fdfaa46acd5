"""One Celery task for each callback: a common first design."""
