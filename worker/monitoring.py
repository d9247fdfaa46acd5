"""Lets a worker and beat be watched: counts tasks, announces the process, answers /metrics."""

import logging
import time
from collections.abc import Callable
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any, Final

from celery import Task, signals
from flask import Flask
from redis.exceptions import RedisError

from service.components import Components
from service.coordination.heartbeat_thread import BEAT, WORKER, HeartbeatThread, process_name
from service.inbox.stream import Inbox
from service.observability.metrics import counting
from service.observability.metrics.exposition import CONTENT_TYPE, exposed, may_read
from service.recording.isolation import consumer
from worker.beat_scheduler import PULSE
from worker.task_intake import INTAKE

# A scrape or a probe that takes longer than this has gone away.
_TIMEOUT: Final = 5.0

_log = logging.getLogger(__name__)


def watch(app: Flask) -> None:
    """Watch this process from when Celery says that it is ready. Call it once in a process."""
    bound: Components = app.extensions["waybill"]

    def worker_is_ready(sender: Any, **_: Any) -> None:
        sender.timer.call_repeatedly(1.0, PULSE.beat)
        queues = sorted(queue.name for queue in sender.task_consumer.queues)
        INTAKE.watch(lambda queue: bound.queue.waiting(queue)[0], queues)
        begin(HeartbeatThread(bound.heartbeats, WORKER, sender.hostname, queues, _is_well))
        signals.worker_shutdown.connect(_removing_consumer(bound.inbox), weak=False)

    def beat_is_ready(**_: Any) -> None:
        begin(HeartbeatThread(bound.heartbeats, BEAT, process_name(BEAT), well=PULSE.is_fresh))

    def begin(announcer: HeartbeatThread) -> None:
        announcer.start()
        signals.worker_shutdown.connect(_leaving(announcer), weak=False)
        if bound.settings.metrics_port:
            _serve_if_possible(bound)

    signals.worker_ready.connect(worker_is_ready, weak=False)
    signals.beat_init.connect(beat_is_ready, weak=False)
    signals.task_prerun.connect(_begin)
    signals.task_postrun.connect(_end)


def serve(bound: Components) -> ThreadingHTTPServer:
    """Answer /metrics and /healthz in a thread. Raises OSError when the port is taken."""
    settings = bound.settings
    place = (settings.metrics_host, settings.metrics_port)
    server = ThreadingHTTPServer(place, _handler(bound))
    server.daemon_threads = True
    Thread(target=server.serve_forever, name="metrics", daemon=True).start()
    return server


def _serve_if_possible(bound: Components) -> None:
    try:
        serve(bound)
    except OSError as error:
        # To be watched is not worth the work: a probe will tell, and the log says why.
        port = bound.settings.metrics_port
        _log.error("nothing answers at METRICS_PORT %d (%s)", port, error.strerror)


def _is_well() -> bool:
    """Tell whether a worker does its work. Its announcer asks every few seconds."""
    INTAKE.look()
    return _ailment() is None


def _ailment() -> str | None:
    if not PULSE.is_fresh():
        return "the main loop hangs"
    return None if INTAKE.is_working() else "tasks wait, and this worker takes none"


def _removing_consumer(inbox: Inbox) -> Callable[..., None]:
    def remove(**_: Any) -> None:
        try:
            inbox.remove_consumers(consumer())
        except RedisError as error:
            _log.debug("the consumer's name stays for a day (%s)", type(error).__name__)

    return remove


def _leaving(announcer: HeartbeatThread) -> Callable[..., None]:
    def leave(**_: Any) -> None:
        announcer.leave()

    return leave


def _begin(task: Task, **_: Any) -> None:
    INTAKE.took()
    task.request.began = time.perf_counter()


def _end(task: Task, state: str | None = None, **_: Any) -> None:
    seconds = time.perf_counter() - task.request.began
    counting.task(task.name, "succeeded" if state == "SUCCESS" else "failed", seconds)


def _handler(bound: Components) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        timeout = _TIMEOUT

        def do_GET(self) -> None:
            """Answer a scrape or a probe."""
            answer = _ANSWERS.get(self.path.partition("?")[0], _nothing)
            status, body = answer(bound, self.headers.get("Authorization", ""))
            self.send_response(status)
            self.send_header("Content-Type", CONTENT_TYPE)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            """Write nothing: a probe every few seconds is no event."""

    return Handler


_Answer = tuple[HTTPStatus, bytes]


def _metrics(bound: Components, authorization: str) -> _Answer:
    if not may_read(bound.settings.metrics_token, authorization):
        return HTTPStatus.UNAUTHORIZED, b"send the token\n"
    return HTTPStatus.OK, exposed()


def _health(_bound: Components, _authorization: str) -> _Answer:
    ailment = _ailment()
    if ailment is None:
        return HTTPStatus.OK, b"alive\n"
    return HTTPStatus.SERVICE_UNAVAILABLE, f"{ailment}\n".encode()


def _nothing(_bound: Components, _authorization: str) -> _Answer:
    return HTTPStatus.NOT_FOUND, b"there are /metrics and /healthz\n"


_ANSWERS: Final = {"/metrics": _metrics, "/healthz": _health}
