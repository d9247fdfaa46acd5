"""How worker and beat reach their broker: again every few seconds, for as long as it takes."""

from collections.abc import Callable
from typing import Any, Final

from celery.app import amqp
from kombu import connection

from worker.beat_scheduler import PULSE

# Seconds that the library adds at most to its first pause of 2 s; its default is 30.
_LONGEST_PAUSE: Final = 2.0


class Connection(connection.Connection):
    """Tries every 4 s at least; the library's own would take half a minute to see Redis again."""

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
        def failed(error: Exception, interval: float) -> None:
            PULSE.beat()  # a loop that waits for its broker does not hang
            if errback:
                errback(error, interval)

        pauses = (interval_start, interval_step, min(interval_max, _LONGEST_PAUSE))
        return super()._ensure_connection(failed, max_retries, *pauses, *args, **options)  # type: ignore[no-untyped-call]


class AMQP(amqp.AMQP):
    """Celery's own, with our connections."""

    Connection = BrokerConnection = Connection
