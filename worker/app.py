"""The Celery application: `celery -A worker.app worker -Q send`."""

from typing import Any, Final

from celery import Celery, Task, signals
from flask import Flask

from service.app import create_app, tune_garbage_collector
from service.task_queue.celery_settings import celery_settings
from service.task_queue.queue import ROUTES
from worker.monitoring import monitor
from worker.schedule import SCHEDULE

# Seconds. A worker may wait for a broker that is writing its file to disk.
_BROKER_TIMEOUT: Final = 10.0


def make_celery(flask_app: Flask) -> Celery:
    """Return a Celery application whose tasks run in the Flask application's context."""

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
    celery.conf.update(celery_settings(settings, ROUTES, timeout=_BROKER_TIMEOUT))
    celery.conf.update(
        # Sends wait for the provider: threads share the memory and connections of one process.
        worker_pool="threads",
        worker_concurrency=settings.worker_concurrency,
        # Another worker runs the tasks of one that died; every task is safe to repeat.
        task_acks_late=True,
        worker_prefetch_multiplier=1,
        worker_hijack_root_logger=False,
        worker_send_task_events=False,
        worker_consumer="worker.consumer:Consumer",
        # Retry without a limit while the broker is down (docs/adr/0024).
        broker_connection_retry_on_startup=True,
        broker_connection_retry=True,
        # Also after the error of a server that has become a replica.
        broker_channel_error_retry=True,
        broker_connection_max_retries=None,
        beat_schedule=SCHEDULE,
        # Keeps no state: every entry of the schedule is an interval of seconds.
        beat_scheduler="worker.beat_scheduler:BeatScheduler",
    )
    return celery


# Celery does not configure logging when this signal has a receiver.
signals.setup_logging.connect(lambda **_: None, weak=False)
_flask_app = create_app()
app = make_celery(_flask_app)
monitor(_flask_app)
tune_garbage_collector()
