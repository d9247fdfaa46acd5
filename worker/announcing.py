"""Workers and beat say that they are alive, from a thread of their own."""

import os
import socket
from typing import Any

from celery import signals
from flask import Flask

from service.presence import Presence, keep_announcing


def connect(flask_app: Flask) -> None:
    """Begin to announce when a worker or beat of this application starts."""
    presence: Presence = flask_app.extensions["waybill"].presence

    def worker_starts(sender: str, instance: Any, **_: Any) -> None:
        keep_announcing(presence, "worker", sender, sorted(instance.app.amqp.queues.consume_from))

    def beat_starts(**_: Any) -> None:
        keep_announcing(presence, "beat", f"{socket.gethostname()}-{os.getpid()}", ())

    signals.celeryd_after_setup.connect(worker_starts, weak=False)
    signals.beat_init.connect(beat_starts, weak=False)
