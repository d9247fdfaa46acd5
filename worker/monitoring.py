"""Monitoring of a worker or of beat: task metrics, heartbeats, and /metrics and /healthz."""

import logging
import time
from collections.abc import Sequence
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any, Final

from celery import Task, signals
from flask import Flask
from redis.exceptions import RedisError

from service.components import Components
from service.coordination.heartbeat_thread import BEAT, WORKER, HeartbeatThread, process_name
from service.inbox.inbox import Inbox
from service.observability.metrics import counting
from service.observability.metrics.exposition import CONTENT_TYPE, exposed, may_read
from worker.liveness import LIVENESS

_REQUEST_TIMEOUT: Final = 5.0  # seconds

_log = logging.getLogger(__name__)


def monitor(app: Flask) -> None:
    """Monitor this process from when Celery is ready. Call it once in a process."""
    bound: Components = app.extensions["waybill"]

    def worker_ready(sender: Any, **_: Any) -> None:
        queues = sorted(queue.name for queue in sender.task_consumer.queues)
        sender.timer.call_repeatedly(1.0, LIVENESS.tick)
        LIVENESS.watch_queues(lambda queue: bound.queue.waiting(queue)[0], queues)
        _begin(bound, WORKER, sender.hostname, queues)

    signals.worker_ready.connect(worker_ready, weak=False)
    signals.worker_shutdown.connect(lambda **_: _remove_consumer(bound.inbox), weak=False)
    signals.beat_init.connect(lambda **_: _begin(bound, BEAT, process_name(BEAT)), weak=False)
    signals.task_prerun.connect(_task_started)
    signals.task_postrun.connect(_task_ended)


def serve(bound: Components) -> ThreadingHTTPServer:
    """Serve /metrics and /healthz in a thread. Raises OSError when the port is taken."""
    address = (bound.settings.metrics_host, bound.settings.metrics_port)
    server = ThreadingHTTPServer(address, _handler(bound))
    server.daemon_threads = True
    Thread(target=server.serve_forever, name="metrics", daemon=True).start()
    return server


def _begin(bound: Components, kind: str, name: str, queues: Sequence[str] = ()) -> None:
    thread = HeartbeatThread(bound.heartbeats, kind, name, queues, LIVENESS.check)
    thread.start()
    signals.worker_shutdown.connect(lambda **_: thread.stop(), weak=False)
    if bound.settings.metrics_port:
        _serve_or_log(bound)


def _serve_or_log(bound: Components) -> None:
    try:
        serve(bound)
    except OSError as error:
        # A worker works without monitoring, too.
        port = bound.settings.metrics_port
        _log.error("cannot serve /metrics and /healthz on port %d: %s", port, error.strerror)


def _remove_consumer(inbox: Inbox) -> None:
    try:
        inbox.remove_consumers(inbox.consumer)
    except RedisError as error:
        _log.debug("inbox consumer not removed (%s); it is in a day", type(error).__name__)


def _task_started(task: Task, **_: Any) -> None:
    LIVENESS.task_started()
    task.request.began = time.perf_counter()


def _task_ended(task: Task, state: str | None = None, **_: Any) -> None:
    seconds = time.perf_counter() - task.request.began
    counting.task(task.name, "succeeded" if state == "SUCCESS" else "failed", seconds)


def _handler(bound: Components) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        timeout = _REQUEST_TIMEOUT

        def do_GET(self) -> None:
            """Answer a scrape or a probe."""
            path = self.path.partition("?")[0]
            status, body = _answer(bound, path, self.headers.get("Authorization", ""))
            self.send_response(status)
            self.send_header("Content-Type", CONTENT_TYPE)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            """Do not log requests: probes come every few seconds."""

    return Handler


def _answer(bound: Components, path: str, authorization: str) -> tuple[HTTPStatus, bytes]:
    if path == "/healthz":
        problem = LIVENESS.problem()
        status = HTTPStatus.SERVICE_UNAVAILABLE if problem else HTTPStatus.OK
        return status, f"{problem or 'alive'}\n".encode()
    if path != "/metrics":
        return HTTPStatus.NOT_FOUND, b"not found; use /metrics or /healthz\n"
    if not may_read(bound.settings.metrics_token, authorization):
        return HTTPStatus.UNAUTHORIZED, b"send 'Authorization: Bearer <METRICS_TOKEN>'\n"
    return HTTPStatus.OK, exposed()
