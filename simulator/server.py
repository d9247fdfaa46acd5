"""Composes the application and serves it."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from aiohttp import web

from simulator.accounts_control import AccountsControl
from simulator.api import MessagesApi
from simulator.callbacks import Callbacks
from simulator.config import Config
from simulator.control import Control
from simulator.create_handler import CreateHandler
from simulator.faults import Faults
from simulator.inbound.blocks import Blocks
from simulator.inbound.control import InboundControl
from simulator.inbound.persons import Persons
from simulator.inbound.urls import InboundUrls
from simulator.lifecycle import Lifecycle
from simulator.outages import Outages
from simulator.outages_control import OutagesControl
from simulator.provider_format import ProviderFormat
from simulator.queue_time import QueueTime
from simulator.records import Records
from simulator.sinch.access_tokens import AccessTokens
from simulator.sinch.api import BatchesApi
from simulator.sinch.format import SinchFormat
from simulator.tasks import Tasks
from simulator.twilio_format import TwilioFormat

_SHUTDOWN_TIMEOUT = 0.2  # seconds for open requests; the fault "timeout" keeps some open
_BACKLOG = 1_024


@asynccontextmanager
async def application(config: Config) -> AsyncIterator[web.Application]:
    """Compose the application. Raises ValueError when the configuration is invalid."""
    records, faults, tasks = Records(config.keep), Faults(config.seed, config.faults), Tasks()
    formats: dict[str, ProviderFormat] = {
        "twilio": TwilioFormat(config),
        "sinch": SinchFormat(config),
    }
    accounts, outages, queue_time = config.all_accounts(), Outages(), QueueTime(config.queue_time)
    callbacks = Callbacks(config, records, formats)
    urls, blocks = InboundUrls(accounts, config.inbound_urls), Blocks()
    persons = Persons(records, faults, callbacks, tasks, formats, urls, blocks)
    lifecycle = Lifecycle(config, records, faults, callbacks, tasks, queue_time, formats, persons)
    creates = CreateHandler(config, records, faults, outages, lifecycle)
    tokens = AccessTokens(config.sinch_token_lifetime, accounts, records.accounts)
    app = web.Application()
    app.add_routes(MessagesApi(config, accounts, records, creates, lifecycle, blocks).routes())
    app.add_routes(tokens.routes())
    app.add_routes(BatchesApi(config, accounts, tokens, records, creates, lifecycle).routes())
    app.add_routes(Control(records, faults, queue_time, lifecycle, tasks).routes())
    app.add_routes(OutagesControl(outages).routes())
    app.add_routes(AccountsControl(accounts, records.accounts).routes())
    app.add_routes(InboundControl(accounts, records, persons, urls, blocks).routes())
    await callbacks.open()
    try:
        yield app
    finally:
        await tasks.close()
        await callbacks.close()


async def serve(config: Config, ready: Callable[[str], None], stop: asyncio.Event) -> None:
    """Serve until `stop` is set; call `ready` with the base URL when the server listens."""
    async with application(config) as app:
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=_SHUTDOWN_TIMEOUT)
        await runner.setup()
        try:
            await web.TCPSite(runner, config.host, config.port, backlog=_BACKLOG).start()
            ready(f"http://{config.host}:{runner.addresses[0][1]}")
            await stop.wait()
        finally:
            await runner.cleanup()
