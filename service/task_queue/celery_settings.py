"""Settings of Celery that web and worker share."""

from collections.abc import Mapping
from typing import Any, Final

from service.config.settings import Settings
from service.redis_client.url import parse_redis_url
from service.task_queue import transport

# Seconds after which Redis gives an unacknowledged task to another worker. Tasks end within
# seconds and carry no ETA, so that only tasks of dead workers reach it.
VISIBILITY_TIMEOUT: Final = 300


def celery_settings(
    settings: Settings, routes: Mapping[str, str], timeout: float
) -> dict[str, Any]:
    """Return the settings that web and worker share.

    `routes` are the queues by task; `timeout` is in seconds.
    """
    transport.register()
    return {
        **_broker(settings.broker_address),
        "task_routes": {name: {"queue": queue} for name, queue in routes.items()},
        "task_ignore_result": True,
        "task_serializer": "json",
        "accept_content": ["json"],
        "broker_transport_options": {
            "visibility_timeout": VISIBILITY_TIMEOUT,
            "socket_timeout": timeout,
            "socket_connect_timeout": timeout,
            "socket_keepalive": True,
            # Seconds after which a silent connection is checked.
            "health_check_interval": 5,
            # Otherwise a caller waits for the library's retries while the broker is down.
            "max_retries": 0,
            "retry_on_timeout": False,
        },
    }


def _broker(url: str) -> dict[str, Any]:
    if url.startswith("amqp"):
        return {
            "broker_url": url,
            "task_default_queue_type": "quorum",
            "task_create_missing_queue_type": "quorum",
        }
    return parse_redis_url(url).celery_settings()
