"""The contract with the Celery worker: task names, queues and wake-ups."""
