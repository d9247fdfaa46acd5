"""RabbitMQ as the broker: quorum queues, and waits for its answers that end.

docs/adr/0053 says what py-amqp 5.4.2 and Celery 5.7.0 do without each part.
"""

import ssl
from collections.abc import Iterable
from typing import Any, Final

from amqp.exceptions import AMQPError, NotFound
from celery import Celery
from kombu.entity import Exchange, Queue
from kombu.exceptions import OperationalError
from kombu.transport import TRANSPORT_ALIASES, pyamqp

from service.config.amqp_url import AmqpAddress
from service.task_queue.transport import MAX_QUEUE_LENGTH

# Seconds. RabbitMQ has to agree with its other nodes before it answers.
_MIN_TIMEOUT: Final = 1.0
# Seconds between heartbeats of a worker; without them for twice as long it connects again.
_HEARTBEAT: Final = 10


class Connection(pyamqp.Connection):
    """Ends each wait for an answer; py-amqp waits for a node that hangs without end.

    The limit is `connect_timeout`. The connection is closed then, so that a late answer is never
    taken for that of the next request.
    """

    def drain_events(self, timeout: float | None = None) -> None:
        """Read until something came for `timeout` seconds, 0 for what is there already."""
        if timeout is not None:
            super().drain_events(timeout)
            return
        try:
            super().drain_events(self.connect_timeout)
        except TimeoutError:
            self.collect()
            raise


class Transport(pyamqp.Transport):
    """The transport of `amqp://`."""

    Connection = Connection


class SSLTransport(pyamqp.SSLTransport):
    """The transport of `amqps://`."""

    Connection = Connection


def register() -> None:
    """Make kombu use these transports for `amqp://` and `amqps://` URLs."""
    for scheme, transport in (("amqp", Transport), ("amqps", SSLTransport)):
        TRANSPORT_ALIASES[scheme] = f"{transport.__module__}:{transport.__name__}"


def rabbitmq_settings(
    address: AmqpAddress, queues: Iterable[str], timeout: float
) -> dict[str, Any]:
    """Return Celery's settings. A wait for an answer ends after `timeout` seconds, at least 1."""
    register()
    return {
        "broker_url": address.url,
        # Its queue has the name of the worker and is exclusive: of workers with one host name, as
        # the README starts them, all but the first would connect again without end.
        "worker_enable_remote_control": False,
        "broker_use_ssl": None if address.tls is None else _tls(address),
        "broker_connection_timeout": max(timeout, _MIN_TIMEOUT),
        "broker_heartbeat": _HEARTBEAT,
        "task_queues": [_queue(name) for name in sorted(set(queues))],
        # A misspelt queue would be a classic one, without a limit.
        "task_create_missing_queues": False,
        "broker_transport_options": {
            # Without it, tasks for a node that hangs go into the buffer of a socket unnoticed.
            "confirm_publish": True,
            # Otherwise a caller waits for the library's retries while the broker is down.
            "max_retries": 0,
        },
    }


def _tls(address: AmqpAddress) -> dict[str, Any]:
    # With the key `server_hostname` the host name is verified; None means that of the URL.
    return {**(address.tls or {}), "cert_reqs": ssl.CERT_REQUIRED, "server_hostname": None}


def _queue(name: str) -> Queue:
    """Return a queue that drops its oldest task when it is full, as those in Redis do."""
    arguments = {"x-queue-type": "quorum", "x-max-length": MAX_QUEUE_LENGTH}
    exchange = Exchange(name)  # type: ignore[no-untyped-call]
    return Queue(name, exchange, name, queue_arguments=arguments)  # type: ignore[no-untyped-call]


class RabbitQueues:
    """Reads the queues of RabbitMQ."""

    def __init__(self, celery: Celery) -> None:
        self._celery = celery

    def waiting(self, queue: str) -> tuple[int, float | None]:
        """Return how many tasks wait, and None: RabbitMQ shows no task without moving it.

        Raises OperationalError or OSError while RabbitMQ is down.
        """
        with self._celery.pool.acquire(block=True, timeout=1) as connection:
            connection.ensure_connection(max_retries=0)
            try:
                # In a channel of its own, which RabbitMQ closes if the queue does not exist.
                with connection.channel() as channel:
                    return int(channel.queue_declare(queue, passive=True).message_count), None
            except NotFound:
                return 0, None
            except AMQPError as error:
                raise OperationalError(type(error).__name__) from error
