"""Takes the screenshots of docs/images: `python -m tests.screenshots`. Needs Chromium.

The figures come from the demo's processes and a simulated provider. The rows are then spread over
the last hour, so that the charts show an hour of traffic.
"""

import shutil
import sqlite3
import tempfile
import time
from pathlib import Path
from random import Random
from typing import Any, Final

import requests
from playwright.sync_api import sync_playwright

from demo.stack import Stack, running
from demo.traffic import Api

IMAGES: Final = Path(__file__).parents[1] / "docs" / "images"
VIEWPORTS: Final[dict[str, Any]] = {
    "desktop": {"viewport": {"width": 1280, "height": 900}},
    "phone": {"viewport": {"width": 390, "height": 844}},
}
PROVIDER: Final = (
    "--seed",
    "7",
    "--pace",
    "1",
    "--fault",
    "500-unprocessed=0.002",
    "--fault",
    "duplicate=0.1",
)
# No look-up resolves the messages in doubt before the screenshots are taken.
ENVIRONMENT: Final = {"DOUBT_FIRST_LOOKUP": "3600"}
MESSAGES: Final = 2000
TIMEOUT: Final = 300.0

_ROWS: Final = {
    "attempt": ("message_id", ("started_at", "answered_at")),
    "status_event": ("message_id", ("received_at", "recorded_at")),
    "message": ("id", ("created_at", "submitted_at", "final_at", "updated_at")),
}
_DEAD_LETTER = """
INSERT INTO dead_letter (provider, attempt, body, received_at, error, set_aside_at)
VALUES ('twilio', '', '', datetime('now', '-10 minutes'),
    'DataError(''value too long for type character varying(64)'')', datetime('now'))
"""


def main() -> None:
    """Start Waybill, send messages, and take the four screenshots."""
    directory = Path(tempfile.mkdtemp(prefix="waybill-"))
    with running(directory, simulator=PROVIDER, environment=ENVIRONMENT) as stack:
        api = Api(stack.url, stack.flask("clients", "create", "shop"))
        for start in range(0, MESSAGES, 1000):
            api.post_batch([message(number) for number in range(start, start + 1000)])
        await_idle(stack)
        spread_over_an_hour(directory / "waybill.db")
        take(stack.url, stack.flask("operators", "create", "screenshots"))
    shutil.rmtree(directory)


def message(number: int) -> dict[str, Any]:
    return {"to": f"+1415555{number:04d}", "body": f"Your parcel {number} is on its way."}


def await_idle(stack: Stack) -> None:
    """Wait until the provider has sent every callback and workers have recorded them."""
    until = time.monotonic() + TIMEOUT
    metrics = f"{stack.url}/metrics"
    while time.monotonic() < until:
        time.sleep(5)
        idle = requests.get(f"{stack.simulator_url}/_simulator/idle", timeout=30).json()["idle"]
        text = requests.get(metrics, timeout=30).text
        if idle and "\nwaybill_messages_due 0.0\n" in text:
            time.sleep(5)
            return
    raise TimeoutError("messages or callbacks are still in progress")


def spread_over_an_hour(path: Path) -> None:
    """Move messages and their rows into the past, except those in doubt."""
    with sqlite3.connect(path, timeout=60) as database:
        sent = database.execute("SELECT id FROM message WHERE provider_sid IS NOT NULL").fetchall()
        for number, (message_id,) in enumerate(sent):
            move(database, message_id, seconds=Random(number).randrange(3480))
        database.execute(_DEAD_LETTER)


def move(database: sqlite3.Connection, message_id: str, seconds: int) -> None:
    # Ids are UUIDv7: they begin with the time in milliseconds, and charts select by them.
    new_id = f"{int(message_id[:12], 16) - seconds * 1000:012x}{message_id[12:]}"
    for table, (key, columns) in _ROWS.items():
        times = ", ".join(
            f"{column} = strftime('%Y-%m-%d %H:%M:%f000', {column}, '-{seconds} seconds')"
            for column in columns
        )
        values = (new_id, message_id)
        database.execute(f"UPDATE {table} SET {key} = ?, {times} WHERE {key} = ?", values)


def take(url: str, operator_key: str) -> None:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox", "--disable-gpu"]
        )
        for device, options in VIEWPORTS.items():
            for scheme in ("light", "dark"):
                context = browser.new_context(base_url=url, color_scheme=scheme, **options)
                page = context.new_page()
                page.goto("/ops/")
                page.get_by_label("Operator key").fill(operator_key)
                page.keyboard.press("Enter")
                page.wait_for_url(lambda url: "login" not in url)
                page.wait_for_timeout(20_000)  # until the counts of all minutes are complete
                page.screenshot(path=IMAGES / f"ops-{device}-{scheme}.png", full_page=True)
                context.close()
        browser.close()


if __name__ == "__main__":
    main()
