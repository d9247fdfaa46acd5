"""The connection of worker and beat to the broker, which retries every 4 s without a limit."""

from collections.abc import Callable
from typing import Any, Final

from celery.app import amqp
from kombu import connection

from worker.liveness import LIVENESS

# Seconds added at most to the first pause of 2 s. Kombu's default of 30 s delays a worker by half a
# minute after Redis is back.
_MAX_EXTRA_PAUSE: Final = 2.0


class Connection(connection.Connection):
    """Kombu's connection with a shorter pause between attempts to reconnect."""

    def _ensure_connection(
        self,
        errback: Callable[..., object] | None = None,
        max_retries: int | None = None,
        interval_start: float = 2,
        interval_step: float = 2,
        interval_max: float = 30,
        *args: Any,
        **options: Any,
    ) -> Any:
        def on_error(error: Exception, interval: float) -> None:
            LIVENESS.tick()  # the main loop runs: it waits for the broker
            if errback:
                errback(error, interval)

        pauses = (interval_start, interval_step, min(interval_max, _MAX_EXTRA_PAUSE))
        return super()._ensure_connection(on_error, max_retries, *pauses, *args, **options)  # type: ignore[no-untyped-call]


class AMQP(amqp.AMQP):
    """Celery's AMQP with this module's connection."""

    Connection = BrokerConnection = Connection
