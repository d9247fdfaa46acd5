"""Run the demonstration, or with `--stay` the stack alone."""

import argparse
import shutil
import signal
import sys
import tempfile
import threading
import time
from pathlib import Path
from types import FrameType

from demo import accounting, traffic
from demo.stack import Stack, running

_LEFT = Path(".run")  # what a failed demonstration leaves behind, for its logs


def main() -> int:
    """Return the exit status: 0 when the accounting holds."""
    parser = argparse.ArgumentParser(prog="python -m demo", description=__doc__)
    parser.add_argument("--stay", action="store_true", help="no traffic; stay up until Ctrl-C")
    parser.add_argument("--port", type=int, help="the web server's port (default: any, or 8000)")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, _interrupt)
    directory = Path(tempfile.mkdtemp(prefix="waybill-"))
    try:
        ended_well = _stay(directory, options.port or 8000) if options.stay else _demo(directory)
    except Exception as error:
        print(f"\n{error}", file=sys.stderr)
        ended_well = False
    if not ended_well:
        shutil.rmtree(_LEFT, ignore_errors=True)
        shutil.copytree(directory, _LEFT, ignore=shutil.ignore_patterns("redis"))
        print(f"the logs are in {_LEFT}/", file=sys.stderr)
    shutil.rmtree(directory, ignore_errors=True)
    return 0 if ended_well else 1


def _demo(directory: Path) -> bool:
    started = time.monotonic()
    print("starting Redis, simulator, web server, workers and beat …", flush=True)
    with running(directory, simulator=traffic.SIMULATOR) as stack:
        print(f"  ready after {time.monotonic() - started:.0f} s\n", flush=True)
        api = traffic.Api(stack.url, stack.flask("clients", "create", "demo"))
        print("sending; the carrier repeats, reorders, calls back early, and answers 429 …")
        posted = traffic.send(api)
        traffic.watch(stack, api)
        holds = _tell(stack, api, posted)
    print(f"\ndone in {time.monotonic() - started:.0f} s")
    return holds


def _tell(stack: Stack, api: traffic.Api, posted: int) -> bool:
    messages = list(api.messages())
    print("what became of them:")
    accounting.outcomes(messages)
    ledgers = {message["id"]: api.events(message["id"]) for message in messages[:50]}
    longest = max(messages[:50], key=lambda message: len(ledgers[message["id"]]))
    print("\none of them, whole:")
    accounting.timeline(longest, ledgers[longest["id"]])
    print("\nthe accounts, Waybill's beside the carrier's own:")
    return accounting.account(posted, accounting.ours(stack), accounting.theirs(stack))


def _stay(directory: Path, port: int) -> bool:
    with running(directory, port=port) as stack:
        key = stack.flask("clients", "create", "local")
        print(f"Waybill is up at {stack.url}, its carrier is {stack.simulator_url}. Try:\n")
        print(
            f"curl -s {stack.url}/v1/messages -H 'Authorization: Bearer {key}' "
            "-H 'Content-Type: application/json' "
            '-d \'{"to": "+14155552671", "body": "Hello"}\'\n'
        )
        print("Ctrl-C ends it.", flush=True)
        try:
            while True:
                stack.check()
                threading.Event().wait(1)
        except KeyboardInterrupt:
            print("stopping …")
    return True


def _interrupt(_signal: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())
