"""How worker and beat reach their broker: again every two seconds, for as long as it takes."""

from collections.abc import Callable
from typing import Any

from celery.app import amqp
from kombu import connection

from worker.clock import PULSE


class Connection(connection.Connection):
    """Tries every 2 s; the library's own waits 2 s longer each time, up to 30 s."""

    def _ensure_connection(
        self, errback: Callable[..., object] | None = None, *args: Any, **options: Any
    ) -> Any:
        def failed(error: Exception, interval: float) -> None:
            PULSE.beat()  # a loop that waits for its broker does not hang
            if errback:
                errback(error, interval)

        options = {"interval_step": 0, **options}
        return super()._ensure_connection(failed, *args, **options)  # type: ignore[no-untyped-call]


class AMQP(amqp.AMQP):
    """Celery's own, with our connections."""

    Connection = BrokerConnection = Connection
