"""The command line: `python -m simulator`."""

import argparse
import asyncio
import logging
import signal
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from simulator.accounts import Account, read_accounts
from simulator.config import DEFAULT_OUTCOMES, Config
from simulator.faults import ALL
from simulator.server import serve


def main(arguments: Sequence[str] | None = None) -> None:
    """Serve until SIGTERM or SIGINT."""
    parser = _parser()
    options = parser.parse_args(arguments)
    logging.basicConfig(level=options.log_level.upper())
    try:
        asyncio.run(_serve(_config(options)))
    except ValueError as error:
        parser.error(str(error))


async def _serve(config: Config) -> None:
    stop, loop = asyncio.Event(), asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    await serve(config, _announce, stop)


def _announce(url: str) -> None:
    print(f"simulator listening on {url}", flush=True)


def _config(options: argparse.Namespace) -> Config:
    return Config(
        host=options.host,
        port=options.port,
        account_sid=options.account_sid,
        auth_token=options.auth_token,
        sinch_plan=options.sinch_plan,
        sinch_token=options.sinch_token,
        sinch_secret=options.sinch_secret,
        sinch_retry_factor=options.sinch_retry_factor,
        sinch_token_lifetime=options.sinch_token_lifetime,
        accounts=options.accounts,
        inbound_urls=dict(options.inbound_url),
        queue_time=options.queue_seconds,
        seed=options.seed,
        pace=options.pace,
        faults=dict(options.fault),
        outcomes=dict(options.outcome) or DEFAULT_OUTCOMES,
        slow=options.slow_ms / 1000,
        retry_after=options.retry_after,
        delay=options.delay_ms / 1000,
        concurrency=options.concurrency,
        keep_alive=options.keep_alive,
        keep=options.keep,
    )


def _parser() -> argparse.ArgumentParser:
    default = Config()
    parser = argparse.ArgumentParser(
        prog="python -m simulator",
        description="A simulated SMS provider with faults: the APIs of Twilio and Sinch.",
        epilog=f"Faults: {', '.join(ALL)}. Outcomes: {', '.join(DEFAULT_OUTCOMES)}.",
    )
    add = parser.add_argument
    add("--host", default=default.host)
    add("--port", type=int, default=default.port, help="default 0: any free port")
    _add_accounts(parser, default)
    _add_inbound(parser)
    waits = "time of messages in the provider's queue"
    add("--queue-seconds", type=float, default=default.queue_time, help=waits)
    add("--seed", type=int, default=default.seed, help="the same seed gives the same run")
    add("--pace", type=float, default=default.pace, help="multiplies the time between statuses")
    repeated: dict[str, Any] = {"type": _pair, "action": "append", "default": []}
    add("--fault", **repeated, metavar="NAME=RATE")
    replaces = "final status of messages; replaces all default weights"
    add("--outcome", **repeated, metavar="NAME=WEIGHT", help=replaces)
    add("--slow-ms", type=int, default=int(default.slow * 1000), help="delay of the fault slow")
    add(
        "--retry-after",
        type=int,
        default=default.retry_after,
        help="Retry-After of a 429, in seconds; 0: none",
    )
    add("--delay-ms", type=int, default=int(default.delay * 1000), help="delay of the fault delay")
    add("--concurrency", type=int, default=default.concurrency, help="concurrent callback requests")
    add("--keep-alive", action="store_true", help="reuse callback connections, for load tests")
    add("--keep", type=int, default=default.keep, help="messages kept in memory")
    levels = ("debug", "info", "warning", "error")
    add("--log-level", choices=levels, default="warning", type=str.lower)
    return parser


def _add_inbound(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--inbound-url",
        type=_named_url,
        action="append",
        default=[],
        metavar="NAME=URL",
        help="webhook URL of inbound messages; NAME is twilio, sinch, or the ID of an account",
    )


def _add_accounts(parser: argparse.ArgumentParser, default: Config) -> None:
    add = parser.add_argument
    add("--account-sid", default=default.account_sid)
    add("--auth-token", default=default.auth_token)
    add(
        "--accounts",
        type=_accounts,
        default=default.accounts,
        metavar="FILE",
        help="TOML file with more accounts",
    )
    add("--sinch-plan", default=default.sinch_plan, help="Sinch service plan id")
    add("--sinch-token", default=default.sinch_token)
    add("--sinch-secret", default=default.sinch_secret, help="signs Sinch callbacks")
    add(
        "--sinch-retry-factor",
        type=float,
        default=default.sinch_retry_factor,
        help="multiplies the backoffs of Sinch callback retries",
    )
    add(
        "--sinch-token-lifetime",
        type=float,
        default=default.sinch_token_lifetime,
        help="of the access tokens of projects, in seconds",
    )


def _accounts(path: str) -> tuple[Account, ...]:
    try:
        return read_accounts(Path(path))
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _named_url(text: str) -> tuple[str, str]:
    name, _, url = text.partition("=")
    return name, url


def _pair(text: str) -> tuple[str, float]:
    name, _, number = text.partition("=")
    return name, float(number)


if __name__ == "__main__":
    main()
