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

from demo import accounting, conversation, inbound_accounting, outage, persons, traffic
from demo.receiver import Receiver, receiver
from demo.stack import Stack, running

_LOGS = Path(".run")  # kept after a failure


def main() -> int:
    """Return the exit status: 0 when all checks pass."""
    parser = argparse.ArgumentParser(prog="python -m demo", description=__doc__)
    parser.add_argument("--stay", action="store_true", help="no traffic; run until Ctrl-C")
    parser.add_argument(
        "--port", type=int, help="port of the web server (default: any; with --stay 8000)"
    )
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, _interrupt)
    directory = Path(tempfile.mkdtemp(prefix="waybill-"))
    try:
        succeeded = _stay(directory, options.port or 8000) if options.stay else _demo(directory)
    except Exception as error:
        print(f"\n{error}", file=sys.stderr)
        succeeded = False
    if not succeeded:
        shutil.rmtree(_LOGS, ignore_errors=True)
        shutil.copytree(directory, _LOGS, ignore=shutil.ignore_patterns("redis"))
        print(f"FAILED; see the logs in {_LOGS}/", file=sys.stderr)
    shutil.rmtree(directory, ignore_errors=True)
    return 0 if succeeded else 1


def _demo(directory: Path) -> bool:
    started = time.monotonic()
    print("Starting Redis, simulated provider, web server, workers and beat", flush=True)
    with receiver() as endpoint, running(directory, simulator=traffic.SIMULATOR) as stack:
        print(f"  ready after {time.monotonic() - started:.0f} s\n", flush=True)
        api = traffic.Api(stack.url, stack.flask("clients", "create", "demo"))
        endpoint.secret = api.subscribe(endpoint.url)
        print("Sending. The provider repeats, reorders and sends callbacks early, and answers 429.")
        posted = traffic.send(api)
        print("Every fifth recipient writes back.")
        traffic.reply(stack)
        traffic.watch(stack, api)
        posted += outage.suspend_account(stack, api)
        traffic.watch(stack, api)
        posted += conversation.converse(stack, api)
        traffic.watch(stack, api)
        passed = _report(stack, api, posted, endpoint)
    print(f"\nDone in {time.monotonic() - started:.0f} s")
    return passed


def _report(stack: Stack, api: traffic.Api, posted: int, endpoint: Receiver) -> bool:
    messages = list(api.messages())
    print("Messages by status:")
    accounting.print_statuses(messages)
    ledgers = {message["id"]: api.events(message["id"]) for message in messages[:50]}
    longest = max(messages[:50], key=lambda message: len(ledgers[message["id"]]))
    print("\nTimeline of one message:")
    accounting.print_timeline(longest, ledgers[longest["id"]])
    print("\nWaybill's database compared with the provider's records:")
    waybill, provider = accounting.waybill_totals(stack), accounting.provider_totals(stack)
    same = accounting.compare(posted, waybill, provider)
    print("\nWhat recipients wrote, by the provider's records, compared with Waybill's:")
    written, recorded = persons.written(stack), inbound_accounting.recorded(stack)
    same = inbound_accounting.compare_inbound(written, recorded) and same
    print("\nWebhooks that Waybill owes compared with the receiver's records:")
    return accounting.compare_webhooks(accounting.owed_events(stack), endpoint) and same


def _stay(directory: Path, port: int) -> bool:
    with running(directory, port=port) as stack:
        key = stack.flask("clients", "create", "local")
        print(f"Waybill: {stack.url}\nSimulated provider: {stack.simulator_url}\n\nTry:\n")
        print(
            f"curl -s {stack.url}/v1/messages -H 'Authorization: Bearer {key}' "
            "-H 'Content-Type: application/json' "
            '-d \'{"to": "+14155552671", "body": "Hello"}\'\n'
        )
        print("Press Ctrl-C to stop.", flush=True)
        try:
            while True:
                stack.check()
                threading.Event().wait(1)
        except KeyboardInterrupt:
            print("Stopping")
    return True


def _interrupt(_signal: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())
