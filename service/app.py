"""The composition root: settings in, a bound application out."""

import gc
from collections.abc import Mapping

from flask import Flask
from redis import Redis

from service import commands, logs, migrating, sentry, tracing, web
from service.breaker import Breaker
from service.callback_checks import CallbackChecks
from service.config import Settings
from service.extensions import Parts, db, ping_what_rested, speak_sqlite_properly
from service.inbox import Inbox
from service.lines import Lines
from service.metrics import counting
from service.pace import Pace
from service.presence import Presence
from service.providers import configured
from service.providers.contract import Callback, Provider
from service.providers.test import MagicNumbers
from service.queue import Queue
from service.shelf import Shelf
from service.web import limiting
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
    logs.configure(settings)
    sentry.start(settings)
    tracing.start(settings)
    app = Flask("service", static_folder=None)
    app.config["SQLALCHEMY_DATABASE_URI"] = settings.database_url.get_secret_value()
    app.config["SQLALCHEMY_ENGINE_OPTIONS"] = _engine_options(settings)
    db.init_app(app)
    migrating.prepare_for_commands(app)
    with app.app_context():
        speak_sqlite_properly(db.engine)
        ping_what_rested(db.engine)
    hurried, breaker = _redis(settings, _HURRY), Breaker()
    carriers = configured(settings) if providers is None else providers

    def call_back(callback: Callback) -> None:
        store(app.extensions["waybill"], callback)

    known = {**carriers, MagicNumbers.name: MagicNumbers(call_back)}
    counting.prepare(known)
    app.extensions["waybill"] = Parts(
        settings=settings,
        providers=known,
        inbox=Inbox(_redis(settings, _PATIENCE), hurried, breaker, settings.inbox_limit),
        queue=Queue(settings, hurried, breaker),
        lines=Lines(settings.worker_concurrency),
        pace=Pace(hurried, breaker, {one.sender: one.rate for one in settings.sender_rates}),
        presence=Presence(hurried),
        shelf=Shelf(hurried, breaker),
        callback_checks=CallbackChecks(hurried, breaker),
        context=app.app_context,
    )
    web.init_app(app)
    limiting.init_app(app, settings.rate_limit_posts, hurried, breaker)
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


def _engine_options(settings: Settings) -> dict[str, object]:
    # Parameters hold phone numbers and texts; errors and logs must not.
    options: dict[str, object] = {"hide_parameters": True}
    if settings.database_url.get_secret_value().startswith("postgresql"):
        options |= {
            "pool_size": settings.worker_concurrency,
            "max_overflow": 4,
            "pool_timeout": 5,
            "connect_args": {"connect_timeout": 3, "options": "-c statement_timeout=10000"},
        }
    return options


def _redis(settings: Settings, patience: float) -> Redis:
    return Redis.from_url(
        settings.redis_url.get_secret_value(),
        socket_connect_timeout=patience,
        socket_timeout=patience,
        retry=None,
        protocol=2,  # one shape of answers from every server version
    )
