"""The Celery application: `celery -A worker.app worker -Q send`."""

from typing import Any, Final

from celery import Celery, Task, signals
from flask import Flask

from service.app import create_app, settle_memory
from service.task_queue.queue import celery_settings
from worker.monitoring import watch
from worker.schedule import SCHEDULE

# A worker has nothing better to do than to wait for a broker that is busy writing its file.
_PATIENCE: Final = 10.0


def make_celery(flask_app: Flask) -> Celery:
    """Return a Celery application whose tasks run inside the Flask application's context."""

    class ContextTask(Task):
        def __call__(self, *args: Any, **kwargs: Any) -> Any:
            with flask_app.app_context():
                return self.run(*args, **kwargs)

    settings = flask_app.extensions["waybill"].settings
    celery = Celery(
        "waybill",
        task_cls=ContextTask,
        amqp="worker.broker_connection:AMQP",
        include=["worker.tasks"],
    )
    celery.conf.update(celery_settings(settings, timeout=_PATIENCE))
    celery.conf.update(
        # Waiting is all a send does: threads share one process's memory and connections.
        worker_pool="threads",
        worker_concurrency=settings.worker_concurrency,
        # A task that a dying worker held goes to another; every task is safe to repeat.
        task_acks_late=True,
        worker_prefetch_multiplier=1,
        worker_hijack_root_logger=False,
        worker_send_task_events=False,
        # Workers reconnect to a broker that was away, without a limit (docs/adr/0024).
        broker_connection_retry_on_startup=True,
        broker_connection_retry=True,
        # What a server answers that has become a replica.
        broker_channel_error_retry=True,
        broker_connection_max_retries=None,
        beat_schedule=SCHEDULE,
        # Every entry is an interval of seconds: nothing is worth remembering over a restart.
        beat_scheduler="worker.beat_scheduler:Clock",
    )
    return celery


def _keep_the_log(**_: Any) -> None:
    """Say that the log is set up: the library asks here, and then leaves it alone."""


signals.setup_logging.connect(_keep_the_log)
_flask_app = create_app()
app = make_celery(_flask_app)
watch(_flask_app)
settle_memory()
