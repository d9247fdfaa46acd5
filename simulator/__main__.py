"""The command line: `python -m simulator`."""

import argparse
import asyncio
import logging
import signal
from collections.abc import Sequence
from typing import Any

from simulator.config import DEFAULT_FATES, Config
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
        seed=options.seed,
        pace=options.pace,
        faults=dict(options.fault),
        fates=dict(options.fate) or DEFAULT_FATES,
        slow=options.slow_ms / 1000,
        retry_after=options.retry_after,
        delay=options.delay_ms / 1000,
        concurrency=options.concurrency,
        keep_alive=options.keep_alive,
        keep=options.keep,
    )


def _parser() -> argparse.ArgumentParser:
    usual = Config()
    parser = argparse.ArgumentParser(
        prog="python -m simulator",
        description="A carrier with faults, shaped like Twilio and like Sinch.",
        epilog=f"Faults: {', '.join(ALL)}. Fates: {', '.join(DEFAULT_FATES)}.",
    )
    add = parser.add_argument
    add("--host", default=usual.host)
    add("--port", type=int, default=usual.port, help="0, the default, takes any free port")
    add("--account-sid", default=usual.account_sid)
    add("--auth-token", default=usual.auth_token)
    _add_sinch(parser, usual)
    add("--seed", type=int, default=usual.seed, help="one seed tells one story")
    add("--pace", type=float, default=usual.pace, help="multiplies the time between statuses")
    repeated: dict[str, Any] = {"type": _pair, "action": "append", "default": []}
    add("--fault", **repeated, metavar="NAME=RATE")
    replaces = "how messages end; replaces all the usual weights"
    add("--fate", **repeated, metavar="NAME=WEIGHT", help=replaces)
    add("--slow-ms", type=int, default=int(usual.slow * 1000), help="for the fault slow")
    add("--retry-after", type=int, default=usual.retry_after, help="seconds that a 429 names")
    add("--delay-ms", type=int, default=int(usual.delay * 1000), help="for the fault delay")
    add("--concurrency", type=int, default=usual.concurrency, help="callbacks sent at once")
    add("--keep-alive", action="store_true", help="cheaper callbacks, for load tests")
    add("--keep", type=int, default=usual.keep, help="messages remembered")
    levels = ("debug", "info", "warning", "error")
    add("--log-level", choices=levels, default="warning", type=str.lower)
    return parser


def _add_sinch(parser: argparse.ArgumentParser, usual: Config) -> None:
    add = parser.add_argument
    add("--sinch-plan", default=usual.sinch_plan, help="the service plan at Sinch")
    add("--sinch-token", default=usual.sinch_token)
    add("--sinch-secret", default=usual.sinch_secret, help="signs Sinch's callbacks")
    add(
        "--sinch-retry-factor",
        type=float,
        default=usual.sinch_retry_factor,
        help="shortens the pauses between Sinch's callback retries",
    )


def _pair(text: str) -> tuple[str, float]:
    name, _, number = text.partition("=")
    return name, float(number)


if __name__ == "__main__":
    main()
