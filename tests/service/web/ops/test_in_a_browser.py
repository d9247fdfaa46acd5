"""The pages in a real headless Chromium: alive, by keyboard, on a phone, in the dark, and quiet."""

import shutil
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from flask import Flask
from playwright.sync_api import Browser, Page, Playwright, expect, sync_playwright
from werkzeug.serving import make_server

from service.app import create_app
from service.components import components
from service.database import db
from service.domain.report import Source
from service.errors import OutcomeUnknown
from service.models import Attempt, DeadLetter
from service.recording import record
from service.sending import deliver
from tests.conftest import make_settings
from tests.fakes import FakeProvider, said
from tests.messages import Post
from tests.service.web.ops.test_overview import everybody_announces, letter

CHROMIUM = shutil.which("chromium")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        CHROMIUM is None, reason="no chromium: tests/install-tools installs it, or says how"
    ),
]
FLAGS = [
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
]
PATIENCE = 10_000  # ms; on a busy machine the page shows what happened with its second answer
PHONE, DESK = {"width": 390, "height": 844}, {"width": 1280, "height": 900}
HOSTILE = '"><script>document.title = "taken"</script><img src=x onerror=alert(1)>'
expect.set_options(timeout=PATIENCE)


@pytest.fixture(scope="module")
def playwright() -> Iterator[Playwright]:
    with sync_playwright() as started:
        yield started


@pytest.fixture(scope="module")
def chromium(playwright: Playwright) -> Iterator[Browser]:
    browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
    yield browser
    browser.close()


@pytest.fixture
def address(context: Flask, redis_url: str, database_url: str) -> Iterator[str]:
    """A web server over the same stores, without TLS."""
    settings = make_settings(
        database_url,
        redis_url,
        PUBLIC_BASE_URL="http://127.0.0.1",
        TWILIO_API_BASE_URL="http://127.0.0.1:1",
    )
    served = create_app(settings, providers=components().providers)
    server = make_server("127.0.0.1", 0, served, threaded=True)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    everybody_announces()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()
    with served.app_context():
        db.engine.dispose()


Open = Callable[..., Page]


@pytest.fixture
def visit(chromium: Browser, address: str, operator_key: str) -> Iterator[Open]:
    """Log in with a browser. In the end it must have complained of nothing, and kept to itself."""
    complaints: list[str] = []
    contexts = []

    def visited(path: str = "/ops/", *, quiet: bool = True, **options: Any) -> Page:
        context = chromium.new_context(**{"viewport": DESK, **options}, base_url=address)
        context.set_default_timeout(PATIENCE)
        contexts.append(context)
        page = context.new_page()
        if quiet:
            page.on("console", lambda one: _noted(complaints, one.type, one.text))
        page.on("pageerror", lambda error: complaints.append(f"error: {error}"))
        page.on("request", lambda one: _elsewhere(complaints, one.url, address))
        page.goto(path)
        page.get_by_label("Operator key").fill(operator_key)
        page.keyboard.press("Enter")
        page.wait_for_url(lambda url: "login" not in url)
        return page

    yield visited
    for context in contexts:
        context.close()
    assert complaints == []


def _noted(complaints: list[str], kind: str, text: str) -> None:
    if kind in ("error", "warning"):
        complaints.append(f"{kind}: {text}")


def _elsewhere(complaints: list[str], url: str, address: str) -> None:
    if not url.startswith(f"{address}/ops"):
        complaints.append(f"asked for {url}")


@pytest.fixture
def doubtful(post: Post, provider: FakeProvider) -> UUID:
    def lost(_: object) -> Any:
        raise OutcomeUnknown("no answer")

    message_id = post(to="+14155550123", body=HOSTILE, reference=HOSTILE)
    provider.script = lost
    deliver.deliver()
    provider.script = None
    return message_id


def attempt_of(message_id: UUID) -> UUID:
    query = db.select(Attempt.id).where(Attempt.message_id == message_id)
    return db.session.scalars(query).one()


def delivered(message_id: UUID) -> None:
    report = said("delivered", attempt_id=attempt_of(message_id), source=Source.CALLBACK)
    record.record([report])


def test_who_logs_in_sees_the_overview_and_may_leave(visit: Open) -> None:
    page = visit()
    expect(page.get_by_role("heading", level=1)).to_have_text("Nothing is stuck, nothing is lost.")
    page.get_by_role("button", name="Log out").click()
    expect(page.get_by_label("Operator key")).to_be_focused()


def test_the_overview_changes_by_itself(visit: Open, doubtful: UUID) -> None:
    page = visit()
    expect(page.locator("#letters")).to_contain_text("Every callback could be recorded.")
    expect(page.locator("#doubts")).to_contain_text("+14155550123")
    page.evaluate("window.same = true")
    db.session.add(letter())
    db.session.commit()
    delivered(doubtful)
    expect(page.locator("#letters")).to_contain_text("No. ")
    expect(page.locator("#doubts")).to_contain_text("Of every message it is known")
    expect(page.locator("#verdict")).to_contain_text("1 callback could not be recorded.")
    assert page.evaluate("window.same"), "the page was not loaded anew"


def test_a_test_message_is_followed_live(visit: Open, provider: FakeProvider) -> None:
    page = visit("/ops/test")
    page.get_by_label("To, such as").fill("+1 415 555 2671")
    page.get_by_role("button", name="Send it").click()
    page.wait_for_url("**/ops/messages/*")
    expect(page.locator("#summary")).to_contain_text("pending")
    page.locator("summary", has_text="Text").click()
    message_id = UUID(page.url.rpartition("/")[2])
    deliver.deliver()
    expect(page.locator("#summary .status")).to_have_text("queued")
    delivered(message_id)
    expect(page.locator("#summary .status")).to_have_text("delivered")
    expect(page.locator("#timeline li")).to_have_count(5)
    expect(page.locator("blockquote")).to_be_visible()


def test_whoever_is_at_work_in_a_form_is_not_disturbed(visit: Open, doubtful: UUID) -> None:
    page = visit(f"/ops/messages/{doubtful}")
    page.get_by_text("I found it…").click()
    page.get_by_label("Its SID").fill("SM12")
    with page.expect_response(lambda answer: answer.url.endswith("/live") and answer.ok):
        delivered(doubtful)
    expect(page.locator("#summary .status")).to_have_text("delivered")
    expect(page.get_by_label("Its SID")).to_have_value("SM12")
    expect(page.get_by_label("Its SID")).to_be_focused()


def test_a_decision_needs_two_clicks_and_says_what_became_of_it(
    visit: Open, doubtful: UUID
) -> None:
    page = visit(f"/ops/messages/{doubtful}")
    give_up = page.get_by_role("button", name="Give it up")
    expect(give_up).to_be_hidden()
    page.get_by_text("It never went out…").click()
    give_up.click()
    expect(page.get_by_role("status")).to_have_text("Given up: the message has failed.")
    expect(page.locator("#summary .status")).to_have_text("failed")


def test_everything_can_be_reached_with_the_keyboard(visit: Open, doubtful: UUID) -> None:
    page = visit()
    page.keyboard.press("/")
    expect(page.get_by_label("Search messages")).to_be_focused()
    page.keyboard.type("+1 415 555 0123")
    page.keyboard.press("Enter")
    page.wait_for_url(f"**/ops/messages/{doubtful}")
    reached = set()
    for _ in range(40):
        page.keyboard.press("Tab")
        reached.add(page.evaluate("document.activeElement.textContent.trim()"))
        assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") != "none" or (
            page.evaluate("document.activeElement === document.body")
        )
    wanted = {"To the content", "Overview", "Look up now", "Send again…", "It never went out…"}
    assert wanted <= reached
    page.locator("summary", has_text="It never went out…").focus()
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(page.locator("#summary .status")).to_have_text("failed")


def test_a_dead_letter_is_tried_again_from_the_overview(visit: Open, context: Flask) -> None:
    db.session.add(letter())
    db.session.commit()
    page = visit()
    page.get_by_role("button", name="Try again").click()
    expect(page.get_by_role("status")).to_contain_text("Put back into the inbox: 1.")
    db.session.rollback()
    assert db.session.scalars(db.select(DeadLetter)).all() == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", [PHONE, DESK], ids=["phone", "desk"])
def test_every_page_fits_its_width_and_can_be_read(
    visit: Open, doubtful: UUID, scheme: str, size: dict[str, int]
) -> None:
    db.session.add(letter(error="x" * 500, body=b"y" * 500))
    db.session.commit()
    page = visit(viewport=size, color_scheme=scheme)
    for path in ("", "messages", "doubts", "dead-letters", "test", f"messages/{doubtful}"):
        page.goto(f"/ops/{path}")
        page.evaluate("document.querySelectorAll('details').forEach((one) => (one.open = true))")
        assert page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0, path
        assert page.evaluate(CONTRAST) >= 4.5, path
    assert page.title() != "taken"


# The least contrast of text with what lies behind it, by WCAG's formula; 4.5 is enough to read.
CONTRAST = """
() => {
  const rgb = (colour) => colour.match(/[\\d.]+/g).map(Number);
  const light = ([r, g, b]) => [r, g, b]
    .map((one) => one / 255)
    .map((one) => (one <= 0.03928 ? one / 12.92 : ((one + 0.055) / 1.055) ** 2.4))
    .reduce((sum, one, at) => sum + one * [0.2126, 0.7152, 0.0722][at], 0);
  const behind = (node) => {
    for (let at = node; at; at = at.parentElement) {
      const colour = rgb(getComputedStyle(at).backgroundColor);
      if (colour.length === 3 || colour[3] === 1) return colour;
    }
    return [255, 255, 255];
  };
  let least = 21;
  for (const node of document.body.querySelectorAll("*")) {
    const says = [...node.childNodes].some((one) => one.nodeType === 3 && one.data.trim());
    if (!says || !node.checkVisibility()) continue;
    if (node.closest("svg")) continue;
    const [a, b] = [rgb(getComputedStyle(node).color), behind(node)].map(light);
    const contrast = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    least = Math.min(least, contrast);
  }
  return least;
}
"""


def test_a_server_that_does_not_answer_is_noticed(visit: Open) -> None:
    page = visit(quiet=False)
    page.route("**/ops/live", lambda route: route.abort())
    expect(page.locator("[data-state]")).to_contain_text("No answer since")
    page.unroute("**/ops/live")
    expect(page.locator("[data-state]")).to_contain_text("Live; looked at", timeout=20_000)


def test_without_scripts_the_pages_work(visit: Open, doubtful: UUID) -> None:
    page = visit(java_script_enabled=False)
    assert 'http-equiv="refresh"' in page.content()
    page.locator("#doubts").get_by_text("Decide…").click()
    page.get_by_text("Send again…").click()
    page.get_by_role("button", name="Send it again").click()
    expect(page.get_by_role("status")).to_have_text("It will be sent again.")


def test_a_script_that_got_in_after_all_does_not_run(visit: Open) -> None:
    page = visit(quiet=False)
    page.evaluate(
        "const s = document.createElement('script'); s.textContent = 'window.ran = 1';"
        "document.body.append(s)"
    )
    assert page.evaluate("window.ran") is None


def test_a_screenshot_can_be_taken_of_it(visit: Open, tmp_path: Path) -> None:
    taken = tmp_path / "overview.png"
    visit().screenshot(path=taken)
    assert taken.read_bytes()[1:4] == b"PNG"
