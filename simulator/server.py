"""Composes the simulator, and serves it until told to stop."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from aiohttp import web

from simulator.api import MessagesApi
from simulator.books import Books
from simulator.callbacks import Callbacks
from simulator.carrier import Carrier
from simulator.config import Config
from simulator.control import Control
from simulator.creates import Creates
from simulator.faults import Faults
from simulator.sinch.api import BatchesApi
from simulator.sinch.wire import SinchWire
from simulator.tasks import Tasks
from simulator.twilio_wire import TwilioWire
from simulator.wire import Wire

_PATIENCE = 0.2  # seconds that requests under way get at the end; some hang on purpose
_BACKLOG = 1_024


@asynccontextmanager
async def application(config: Config) -> AsyncIterator[web.Application]:
    """Put the parts together. Raises ValueError when the configuration makes no sense."""
    books, faults, tasks = Books(config.keep), Faults(config.seed, config.faults), Tasks()
    wires: dict[str, Wire] = {"twilio": TwilioWire(config), "sinch": SinchWire(config)}
    callbacks = Callbacks(config, books, wires)
    carrier = Carrier(config, books, faults, callbacks, tasks, wires)
    creates = Creates(config, books, faults, carrier)
    app = web.Application()
    app.add_routes(MessagesApi(config, books, creates, carrier).routes())
    app.add_routes(BatchesApi(config, books, creates, carrier).routes())
    app.add_routes(Control(books, faults, carrier, tasks).routes())
    await callbacks.open()
    try:
        yield app
    finally:
        await tasks.close()
        await callbacks.close()


async def serve(config: Config, ready: Callable[[str], None], stop: asyncio.Event) -> None:
    """Serve until `stop` is set; tell `ready` the base URL once connections are taken."""
    async with application(config) as app:
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=_PATIENCE)
        await runner.setup()
        try:
            await web.TCPSite(runner, config.host, config.port, backlog=_BACKLOG).start()
            ready(f"http://{config.host}:{runner.addresses[0][1]}")
            await stop.wait()
        finally:
            await runner.cleanup()
