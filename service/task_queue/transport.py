"""Redis as Celery's broker, by a transport that outlives a lost Redis. Written for kombu 5.7.0.

What the library's own does when Redis restarts, freezes or turns into a replica, and what each
line here mends, stands in docs/adr/0024.
"""

from typing import Any, Final

from kombu.transport import TRANSPORT_ALIASES
from kombu.transport import redis as base
from kombu.transport.virtual import QoS as VirtualQoS
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import RedisError

from service.redis_client.connections import closing

# Tasks that wait on one queue at most. They carry no work, so the oldest may go: a queue that no
# worker reads must not fill Redis, and a worker that was away has minutes of ticks to skip.
MOST_WAITING: Final = 1000


class QoS(base.QoS):
    """Gives the slot of a task back even if Redis does not hear that it ended.

    Otherwise a worker loses one slot at each failure, and takes no task when all are lost. Redis
    delivers the task again after the visibility timeout.
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
    """A channel whose failures are those of a lost connection, which Celery survives."""

    QoS = QoS
    # Restoring tasks while a lost connection is closed fails, and loops on a server that became a
    # replica. The visibility timeout restores them.
    do_restore = False

    def _connparams(self, asynchronous: bool = False) -> dict[str, Any]:
        """Return how to connect. Once closed, the library's own raises AttributeError."""
        client = self.connection and self.connection.client
        if client is None:
            raise RedisConnectionError("the connection of this channel is closed")
        options = dict[str, Any](super()._connparams(asynchronous))  # type: ignore[no-untyped-call]
        if "path" in options:  # of a socket; the library reads its account from the URL only
            options |= {"username": client.userid, "password": client.password}
        return {**options, "connection_class": closing(options["connection_class"])}

    def _put(self, queue: str, message: dict[str, Any], **options: Any) -> None:
        """Put a task on its queue; off one that is full, take the oldest."""
        with self.conn_or_acquire() as client:
            client.ltrim(queue, 0, MOST_WAITING - 2)  # tasks come in on the left
        super()._put(queue, message, **options)  # type: ignore[no-untyped-call]


class Transport(base.Transport):
    """The transport of `redis://`, `rediss://` and `redis+socket://`."""

    Channel = Channel


def register() -> None:
    """Make kombu use this transport for `redis://` and `rediss://` URLs."""
    name = f"{Transport.__module__}:{Transport.__name__}"
    TRANSPORT_ALIASES.update(dict.fromkeys(("redis", "rediss"), name))
