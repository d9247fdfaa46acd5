"""Celery's consumer without a step that Waybill does not need."""

from typing import Final

from celery.worker import consumer

# Declares 28 queues and their bindings at each connect to RabbitMQ, for tasks with a delay. Waybill
# has none: what is due later is in the database.
_UNUSED: Final = "celery.worker.consumer.delayed_delivery:DelayedDelivery"


class Consumer(consumer.Consumer):
    """Celery's consumer, which takes tasks again sooner after it lost RabbitMQ."""

    class Blueprint(consumer.Consumer.Blueprint):
        """The steps of a start and of each connect."""

        default_steps = [  # noqa: RUF012
            step for step in consumer.Consumer.Blueprint.default_steps if step != _UNUSED
        ]
