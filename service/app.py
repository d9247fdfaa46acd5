"""The composition root: settings in, a bound application out."""

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
from service.inbox.overflow import OverflowTable
from service.inbox.stream import Inbox
from service.observability import logging, sentry, tracing
from service.observability.metrics import counting
from service.providers import configured
from service.providers.base import Callback, Provider
from service.providers.call_slots import CallSlots
from service.providers.sandbox import Sandbox
from service.queries import callbacks
from service.redis_client.connections import connect
from service.redis_client.url import parse_redis_url
from service.task_queue.queue import TaskQueue
from service.web.api import rate_limits
from service.web.callbacks import store

# Seconds to wait for Redis: an answer to a provider must not wait on one that is gone, a drain
# may wait on one that is busy writing its file.
_HURRY = 0.2
_PATIENCE = 5.0


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
    hurried = _redis(settings, _HURRY)
    carriers = configured(settings) if providers is None else providers

    def call_back(callback: Callback) -> None:
        store(app.extensions["waybill"], callback)

    rates = {rule.sender: rule.rate for rule in settings.sender_rates}
    known = {**carriers, Sandbox.name: Sandbox(call_back)}
    counting.prepare(known)
    app.extensions["waybill"] = Components(
        settings=settings,
        providers=known,
        inbox=Inbox(_redis(settings, _PATIENCE), hurried, CircuitBreaker(), settings.inbox_limit),
        overflow=OverflowTable(app.app_context, callbacks.add_overflow),
        queue=TaskQueue(settings, hurried, CircuitBreaker()),
        call_slots=CallSlots(settings.worker_concurrency),
        sender_rates=SenderRateLimit(hurried, CircuitBreaker(), rates),
        heartbeats=Heartbeats(hurried),
        cache=Cache(hurried, CircuitBreaker()),
        callback_checks=CallbackChecks(hurried, CircuitBreaker()),
        context=app.app_context,
    )
    web.init_app(app)
    rate_limits.init_app(app, settings.rate_limit_posts, hurried)
    commands.init_app(app)
    return app


def settle_memory() -> None:
    """Call this once a process is ready to serve: what was imported is not looked at again.

    A batch makes thousands of objects and keeps none; with the default threshold the collector
    walks them dozens of times.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 20)


def _redis(settings: Settings, patience: float) -> Redis:
    return connect(parse_redis_url(settings.redis_url.get_secret_value()), patience)
