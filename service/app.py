"""Build the application and its components from the settings."""

import gc
from collections.abc import Mapping

from flask import Flask
from redis import Redis

from service import commands, web
from service.components import Components
from service.config.settings import Settings
from service.coordination.cache import Cache
from service.coordination.callback_checks import CallbackChecks
from service.coordination.circuit_breaker import CircuitBreaker
from service.coordination.heartbeats import Heartbeats
from service.coordination.sender_rate_limit import SenderRateLimit
from service.database import db, engines, schema
from service.inbox.inbox import Inbox
from service.inbox.overflow import OverflowTable
from service.observability import logging, sentry, tracing
from service.observability.metrics import counting
from service.providers import configured
from service.providers.base import Callback, Provider
from service.providers.call_slots import CallSlots
from service.providers.sandbox import Sandbox
from service.queries import callbacks
from service.redis_client.connections import connect
from service.redis_client.fast_cluster import fast_client
from service.redis_client.url import parse_redis_url
from service.task_queue.queue import TaskQueue
from service.web.api import rate_limits
from service.web.callbacks import store
from service.webhook_client.client import WebhookClient
from service.webhook_client.slots import EndpointSlots

# Seconds to wait for Redis. Requests must not wait for a Redis that is down; a task that reads the
# inbox may wait while Redis writes its file.
_REQUEST_TIMEOUT = 0.2
_TASK_TIMEOUT = 5.0


def create_app(
    settings: Settings | None = None, *, providers: Mapping[str, Provider] | None = None
) -> Flask:
    """Build the application. Raises ConfigurationError when the settings are unusable."""
    settings = settings or Settings.load()
    logging.configure(settings)
    sentry.start(settings)
    tracing.start(settings)
    app = Flask("service", static_folder=None)
    engines.configure(app, settings)
    db.init_app(app)
    engines.prepare(app, settings)
    schema.prepare_for_commands(app)
    redis = _connect(settings.redis_url.get_secret_value(), _REQUEST_TIMEOUT)
    bound = _components(app, settings, redis, providers)
    app.extensions["waybill"] = bound
    counting.prepare(bound.providers)
    web.init_app(app)
    rate_limits.init_app(app, settings.rate_limit_posts, redis)
    commands.init_app(app)
    return app


def tune_garbage_collector() -> None:
    """Exclude what is loaded now from garbage collection, and collect less often.

    Call it when the process is ready to serve. A batch makes thousands of objects and keeps none;
    the default threshold walks them dozens of times.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 20)


def _components(
    app: Flask, settings: Settings, redis: Redis, providers: Mapping[str, Provider] | None
) -> Components:
    def handle_callback(callback: Callback) -> None:
        store(app.extensions["waybill"], callback)

    providers = configured(settings) if providers is None else providers
    inbox_redis = _connect(settings.inbox_address, _TASK_TIMEOUT)
    fast = fast_client(_connect(settings.inbox_address, _REQUEST_TIMEOUT))
    return Components(
        settings=settings,
        providers={**providers, Sandbox.name: Sandbox(handle_callback)},
        inbox=Inbox(inbox_redis, fast, settings.inbox_limit, settings.inbox_streams),
        overflow=OverflowTable(app.app_context, callbacks.add_overflow),
        queue=TaskQueue(settings, redis, CircuitBreaker()),
        call_slots=CallSlots(settings.worker_concurrency),
        webhook_slots=EndpointSlots(settings.webhook_concurrency),
        webhook_client=WebhookClient(
            settings.webhook_networks,
            settings.webhook_concurrency,
            https_only=not settings.webhook_allow_http,
        ),
        sender_rates=SenderRateLimit(redis, CircuitBreaker(), _rates(settings)),
        heartbeats=Heartbeats(redis),
        cache=Cache(redis, CircuitBreaker()),
        callback_checks=CallbackChecks(redis, CircuitBreaker()),
        context=app.app_context,
    )


def _rates(settings: Settings) -> dict[str, float]:
    """Return segments per second by sender; senders of an accounts file with their account."""
    rates = {rule.sender: rule.rate for rule in settings.sender_rates}
    for provider, accounts in settings.accounts.items():
        for name, account in accounts.items():
            for sender, rate in account.sender_rates.items():
                rates[f"{provider}:{name}:{sender}"] = rate
    return rates


def _connect(url: str, timeout: float) -> Redis:
    return connect(parse_redis_url(url), timeout)
