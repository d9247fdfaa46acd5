"""Celery's Redis transport, changed to survive a lost Redis. Written for kombu 5.7.0.

docs/adr/0024 lists what kombu's own transport does when Redis restarts, freezes or becomes a
replica, and what each line here prevents.
"""

from typing import Any, Final

from kombu.transport import TRANSPORT_ALIASES
from kombu.transport import redis as base
from kombu.transport.virtual import QoS as VirtualQoS
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import RedisError

from service.redis_client.closing import closing

# Tasks carry no data, so that the oldest may be dropped: a queue without a worker must not fill
# Redis, and a worker that was down skips minutes of scheduled tasks.
MAX_QUEUE_LENGTH: Final = 1000


class QoS(base.QoS):
    """Frees the prefetch slot of a task even if Redis cannot be told that the task ended.

    Otherwise a worker loses a slot at each failure, until it takes no tasks. Redis delivers the
    task again after the visibility timeout.
    """

    def ack(self, delivery_tag: str) -> None:
        """Acknowledge a task."""
        try:
            super().ack(delivery_tag)  # type: ignore[no-untyped-call]
        except RedisError:
            VirtualQoS.ack(self, delivery_tag)  # type: ignore[no-untyped-call]
            raise

    def reject(self, delivery_tag: str, requeue: bool = False) -> None:
        """Refuse a task."""
        try:
            super().reject(delivery_tag, requeue)  # type: ignore[no-untyped-call]
        except RedisError:
            VirtualQoS.ack(self, delivery_tag)  # type: ignore[no-untyped-call]
            raise


class Channel(base.Channel):
    """Raises connection errors, which Celery recovers from, where kombu raises others."""

    QoS = QoS
    # Restoring tasks while closing a lost connection fails, and loops if the server became a
    # replica. The visibility timeout restores them.
    do_restore = False

    def _connparams(self, asynchronous: bool = False) -> dict[str, Any]:
        """Return the connection parameters. On a closed channel kombu raises AttributeError."""
        client = self.connection and self.connection.client
        if client is None:
            raise RedisConnectionError("the connection of the channel is closed")
        options = dict[str, Any](super()._connparams(asynchronous))  # type: ignore[no-untyped-call]
        if "path" in options:  # for a socket kombu reads the account from the URL only
            options |= {"username": client.userid, "password": client.password}
        return {**options, "connection_class": closing(options["connection_class"])}

    def _put(self, queue: str, message: dict[str, Any], **options: Any) -> None:
        """Push a task; drop the oldest of a full queue."""
        with self.conn_or_acquire() as client:
            client.ltrim(queue, 0, MAX_QUEUE_LENGTH - 2)  # tasks are pushed on the left
        super()._put(queue, message, **options)  # type: ignore[no-untyped-call]


class Transport(base.Transport):
    """The transport of `redis://`, `rediss://` and `redis+socket://`."""

    Channel = Channel


def register() -> None:
    """Make kombu use this transport for `redis://` and `rediss://` URLs."""
    name = f"{Transport.__module__}:{Transport.__name__}"
    TRANSPORT_ALIASES.update(dict.fromkeys(("redis", "rediss"), name))
