"""Settings of Celery that web and worker share."""

from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import urlsplit

from service.config.amqp_url import SCHEMES, parse_amqp_url
from service.config.settings import Settings
from service.redis_client.url import RedisAddress, parse_redis_url
from service.task_queue import transport
from service.task_queue.rabbitmq import rabbitmq_settings

# Seconds after which Redis gives an unacknowledged task to another worker. Tasks end within
# seconds and carry no ETA, so that only tasks of dead workers reach it.
VISIBILITY_TIMEOUT: Final = 300
_SENTINEL_TIMEOUT: Final = 0.5  # seconds


def celery_settings(
    settings: Settings, routes: Mapping[str, str], timeout: float
) -> dict[str, Any]:
    """Return the settings that web and worker share.

    `routes` are the queues by task; `timeout` is in seconds.
    """
    broker = _broker(settings.broker_address, routes, timeout)
    return {
        **broker,
        # Celery's command takes BROKER_URL from the environment, as it is, and prefers it to
        # `broker_url`, but not to these.
        "broker_read_url": broker["broker_url"],
        "broker_write_url": broker["broker_url"],
        "task_routes": {name: {"queue": queue} for name, queue in routes.items()},
        "task_ignore_result": True,
        "task_serializer": "json",
        "accept_content": ["json"],
    }


def is_rabbitmq(url: str) -> bool:
    """Tell whether the URL of a broker is that of RabbitMQ."""
    return urlsplit(url).scheme in SCHEMES


def _broker(url: str, routes: Mapping[str, str], timeout: float) -> dict[str, Any]:
    if is_rabbitmq(url):
        return rabbitmq_settings(parse_amqp_url(url), routes.values(), timeout)
    transport.register()
    address = parse_redis_url(url)
    return {
        **address.celery_settings(),
        "broker_transport_options": {
            "visibility_timeout": VISIBILITY_TIMEOUT,
            **_waits(timeout),
            "socket_keepalive": True,
            # Seconds after which a silent connection is checked.
            "health_check_interval": 5,
            # Otherwise a caller waits for the library's retries while the broker is down.
            "max_retries": 0,
            "retry_on_timeout": False,
            **(_sentinel(address, timeout) if address.master_name else {}),
        },
    }


def _sentinel(address: RedisAddress, timeout: float) -> dict[str, Any]:
    # One Sentinel that hangs must not use up the time in which another would answer.
    short = _waits(min(timeout, _SENTINEL_TIMEOUT))
    sentinels = {**short, "protocol": 2, **address.sentinel_options()}
    return {"master_name": address.master_name, "sentinel_kwargs": sentinels}


def _waits(timeout: float) -> dict[str, float]:
    return {"socket_timeout": timeout, "socket_connect_timeout": timeout}
