"""The pages in headless Chromium: live updates, keyboard, phone, dark mode, security policy."""

import shutil
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote
from uuid import UUID

import pytest
from flask import Flask
from playwright.sync_api import Browser, Page, Playwright, expect, sync_playwright
from werkzeug.serving import make_server

from service.app import create_app
from service.components import components
from service.database import db, transaction
from service.domain.report import Source
from service.errors import OutcomeUnknown
from service.inbound import record as inbound
from service.models import Attempt, DeadLetter, InboundMessage, WebhookDelivery, WebhookEndpoint
from service.recording import record
from service.sending import deliver
from service.webhooks import deliver as webhooks
from tests.conftest import make_settings
from tests.fakes import FakeProvider, said
from tests.messages import Post
from tests.service.inbound.conversation import PERSON, heard
from tests.service.web.ops.conftest import Subscriber
from tests.service.web.ops.test_overview import HEALTHY, all_replicas_announce, dead_letter
from tests.strategies import EPOCH

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
TIMEOUT = 10_000  # ms; on a busy machine a change shows with the second poll
PHONE, DESK = {"width": 390, "height": 844}, {"width": 1280, "height": 900}
HOSTILE = '"><script>document.title = "taken"</script><img src=x onerror=alert(1)>'
expect.set_options(timeout=TIMEOUT)


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
    all_replicas_announce()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()
    with served.app_context():
        db.engine.dispose()


Open = Callable[..., Page]


@pytest.fixture
def visit(chromium: Browser, address: str, operator_key: str) -> Iterator[Open]:
    """Log in with a browser. It must log no error and send no request to another host."""
    complaints: list[str] = []
    contexts = []

    def open_page(path: str = "/ops/", *, quiet: bool = True, **options: Any) -> Page:
        context = chromium.new_context(**{"viewport": DESK, **options}, base_url=address)
        context.set_default_timeout(TIMEOUT)
        contexts.append(context)
        page = context.new_page()
        if quiet:
            page.on("console", lambda entry: _check_console(complaints, entry.type, entry.text))
        page.on("pageerror", lambda error: complaints.append(f"error: {error}"))
        page.on("request", lambda request: _check_host(complaints, request.url, address))
        page.goto(path)
        page.get_by_label("Operator key").fill(operator_key)
        page.keyboard.press("Enter")
        page.wait_for_url(lambda url: "login" not in url)
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert complaints == []


def _check_console(complaints: list[str], kind: str, text: str) -> None:
    if kind in ("error", "warning"):
        complaints.append(f"{kind}: {text}")


def _check_host(complaints: list[str], url: str, address: str) -> None:
    if not url.startswith(f"{address}/ops"):
        complaints.append(f"request to {url}")


@pytest.fixture
def in_doubt(post: Post, provider: FakeProvider) -> UUID:
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


def test_login_shows_the_overview_and_logout_leaves_it(visit: Open) -> None:
    page = visit()
    expect(page.get_by_role("heading", level=1)).to_have_text(HEALTHY)
    page.get_by_role("button", name="Log out").click()
    expect(page.get_by_label("Operator key")).to_be_focused()


def test_overview_updates_without_a_reload(visit: Open, in_doubt: UUID) -> None:
    page = visit()
    expect(page.locator("#dead-letters")).to_contain_text("No dead letters")
    expect(page.locator("#in-doubt")).to_contain_text("+14155550123")
    page.evaluate("window.same = true")
    db.session.add(dead_letter())
    db.session.commit()
    delivered(in_doubt)
    expect(page.locator("#dead-letters")).to_contain_text("No. ")
    expect(page.locator("#in-doubt")).to_contain_text("No messages in doubt")
    expect(page.locator("#health")).to_contain_text("Degraded: 1 callback could not be recorded")
    assert page.evaluate("window.same"), "the page was not reloaded"


def test_timeline_of_a_test_message_updates_live(visit: Open, provider: FakeProvider) -> None:
    page = visit("/ops/test")
    page.get_by_label("To, such as").fill("+1 415 555 2671")
    page.get_by_role("button", name="Send test message").click()
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


def test_update_keeps_a_form_that_is_being_filled_in(visit: Open, in_doubt: UUID) -> None:
    page = visit(f"/ops/messages/{in_doubt}")
    page.get_by_text("It was sent…").click()
    page.get_by_label("SID from the provider").fill("SM12")
    with page.expect_response(lambda answer: answer.url.endswith("/live") and answer.ok):
        delivered(in_doubt)
    expect(page.locator("#summary .status")).to_have_text("delivered")
    expect(page.get_by_label("SID from the provider")).to_have_value("SM12")
    expect(page.get_by_label("SID from the provider")).to_be_focused()


def test_decision_needs_two_clicks_and_shows_its_result(visit: Open, in_doubt: UUID) -> None:
    page = visit(f"/ops/messages/{in_doubt}")
    give_up = page.get_by_role("button", name="Mark the message as failed")
    expect(give_up).to_be_hidden()
    page.get_by_text("It was not sent…").click()
    give_up.click()
    expect(page.get_by_role("status")).to_have_text("The message is marked as failed.")
    expect(page.locator("#summary .status")).to_have_text("failed")


def test_every_control_is_reachable_by_keyboard(visit: Open, in_doubt: UUID) -> None:
    page = visit()
    page.keyboard.press("/")
    expect(page.get_by_label("Search messages")).to_be_focused()
    page.keyboard.type("+1 415 555 0123")
    page.keyboard.press("Enter")
    page.wait_for_url(f"**/ops/messages/{in_doubt}")
    reached = set()
    for _ in range(40):
        page.keyboard.press("Tab")
        reached.add(page.evaluate("document.activeElement.textContent.trim()"))
        assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") != "none" or (
            page.evaluate("document.activeElement === document.body")
        )
    expected = {"Skip to content", "Overview", "Look up now", "Send again…", "It was not sent…"}
    assert expected <= reached
    page.locator("summary", has_text="It was not sent…").focus()
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(page.locator("#summary .status")).to_have_text("failed")


def test_dead_letter_is_replayed_from_the_overview(visit: Open, context: Flask) -> None:
    db.session.add(dead_letter())
    db.session.commit()
    page = visit()
    page.get_by_role("button", name="Replay").click()
    expect(page.get_by_role("status")).to_contain_text("Replayed: 1.")
    db.session.rollback()
    assert db.session.scalars(db.select(DeadLetter)).all() == []


def test_delivery_is_retried_and_events_are_recovered(
    visit: Open, post: Post, subscriber: Subscriber
) -> None:
    message_id = post()
    deliver.deliver()
    delivered(message_id)
    webhooks.deliver()  # the endpoint answers 500
    page = visit(f"/ops/messages/{message_id}")
    subscriber.books.answer = lambda _: (204, {})
    page.get_by_role("button", name="Retry the webhook").click()
    expect(page.get_by_role("status")).to_have_text("The delivery is due now.")
    webhooks.deliver()
    expect(page.locator("#timeline")).to_contain_text("answer 204; delivered at")

    with transaction():
        db.session.execute(db.delete(WebhookDelivery))
    page.get_by_role("link", name="Webhooks").click()
    page.get_by_text("Recover…").click()
    page.get_by_label("Since").fill(f"{datetime.now(UTC) - timedelta(days=1):%Y-%m-%dT%H:%M:%S}")
    page.get_by_role("button", name="Recover the events").click()
    expect(page.get_by_role("status")).to_contain_text("It is owed 1 delivery now.")
    webhooks.deliver()
    page.reload()
    expect(page.locator("#deliveries .status")).to_have_text("delivered")
    assert len(subscriber.books.received) == 3


def test_conversation_updates_live_until_an_opt_out_ends(
    visit: Open, post: Post, provider: FakeProvider
) -> None:
    message_id = post(to=PERSON, body="How are you?")
    page = visit(f"/ops/messages/{message_id}")
    page.get_by_role("link", name="Conversation").click()
    expect(page.locator("#conversation li")).to_have_count(1)
    page.evaluate("window.same = true")
    heard_words("Fine")
    heard_words("STOP")
    expect(page.locator("#conversation li")).to_have_count(3)
    expect(page.locator("#conversation li").first).to_contain_text("STOP")
    expect(page.locator("#conversation blockquote").nth(1)).to_have_text("Fine")
    expect(page.locator("#summary .status")).to_have_text("opted out")
    assert page.evaluate("window.same"), "the page was not reloaded"

    page.get_by_role("link", name="Begin or end an opt-out").click()
    end = page.get_by_role("button", name="End the opt-out")
    expect(end).to_be_hidden()
    page.get_by_text("End…").click()
    end.click()
    expect(page.get_by_role("status")).to_contain_text("is ended")
    expect(page.locator("#opt-outs")).to_contain_text("No opt-outs of this number")
    deliver.deliver()
    assert [each.to for each in provider.on_air] == [PERSON]


def test_message_without_an_owner_is_given_by_keyboard(visit: Open, client_id: int) -> None:
    heard_words("Where is my parcel?", To="+15005550009")
    page = visit()
    expect(page.locator("#health")).to_contain_text("1 inbound message without an owner")
    page.get_by_role("link", name="Inbound", exact=True).click()
    summary = page.locator("summary", has_text="Give…")
    summary.focus()
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    page.keyboard.type("payments")
    page.keyboard.press("Enter")
    expect(page.get_by_role("status")).to_contain_text("payments has 1 message now")
    expect(page.locator("#inbound")).to_contain_text("Every inbound message has an owner")
    page.get_by_role("link", name="Overview").click()
    expect(page.locator("#inbound")).to_contain_text("Other texts")


def test_opt_out_begins_without_javascript(visit: Open, post: Post, provider: FakeProvider) -> None:
    page = visit("/ops/opt-outs", java_script_enabled=False)
    page.get_by_label("Number of the recipient").fill("+1 (415) 555-2671")
    page.get_by_role("button", name="Begin the opt-out").click()
    expect(page.get_by_role("status")).to_contain_text("gets no more messages")
    expect(page.locator("#opt-outs li")).to_contain_text("every sender")
    post(to=PERSON)
    deliver.deliver()
    assert provider.on_air == []


def heard_words(*texts: str, **fields: str) -> None:
    """Record messages that a person wrote."""
    inbound.record([heard(text, **fields) for text in texts])


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", [PHONE, DESK], ids=["phone", "desk"])
def test_pages_fit_the_screen_with_enough_contrast(
    visit: Open, in_doubt: UUID, subscriber: Subscriber, scheme: str, size: dict[str, int]
) -> None:
    db.session.add(dead_letter(error="x" * 500, body=b"y" * 500))
    db.session.add(owed(subscriber.id, in_doubt))
    long = {"url": f"https://a.example/{'x' * 500}", "description": HOSTILE}
    db.session.execute(db.update(WebhookEndpoint).values(**long, failing_since=EPOCH))
    db.session.commit()
    inbound_id = hostile_conversation()
    page = visit(viewport=size, color_scheme=scheme)
    webhook_pages = ("webhooks", f"webhooks/{subscriber.id}")
    message_pages = ("messages", "doubts", "dead-letters", "test", f"messages/{in_doubt}")
    inbound_pages = ("inbound", f"inbound/{inbound_id}", "opt-outs", "conversation?number=x")
    conversation = f"conversation?number={quote(HOSTILE)}"
    for path in ("", *message_pages, *webhook_pages, *inbound_pages, conversation):
        page.goto(f"/ops/{path}")
        page.evaluate(
            "document.querySelectorAll('details').forEach((details) => (details.open = true))"
        )
        assert page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0, path
        assert page.evaluate(CONTRAST) >= 4.5, path
    assert page.title() != "taken"


def hostile_conversation() -> UUID:
    """Store a message and an opt-out with long and hostile texts; return the id of the message."""
    media = {"NumMedia": "1", "MediaUrl0": "https://a.example/x", "MediaContentType0": "x" * 200}
    heard_words(HOSTILE + "x" * 1500, "STOP", From=HOSTILE, To="x" * 200, **media)
    return db.session.scalars(db.select(InboundMessage.id)).all()[0]


def owed(endpoint_id: UUID, message_id: UUID) -> WebhookDelivery:
    return WebhookDelivery(
        endpoint_id=endpoint_id,
        event_id=1,
        message_id=message_id,
        created_at=EPOCH,
        due_at=EPOCH,
        attempts=9,
        error=HOSTILE,
    )


# The lowest contrast of any text with its background, by the formula of WCAG; AA requires 4.5.
CONTRAST = """
() => {
  const rgb = (colour) => colour.match(/[\\d.]+/g).map(Number);
  const light = ([r, g, b]) => [r, g, b]
    .map((value) => value / 255)
    .map((value) => (value <= 0.03928 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4))
    .reduce((sum, value, index) => sum + value * [0.2126, 0.7152, 0.0722][index], 0);
  const background = (node) => {
    for (let at = node; at; at = at.parentElement) {
      const colour = rgb(getComputedStyle(at).backgroundColor);
      if (colour.length === 3 || colour[3] === 1) return colour;
    }
    return [255, 255, 255];
  };
  let lowest = 21;
  for (const node of document.body.querySelectorAll("*")) {
    const text = [...node.childNodes].some((child) => child.nodeType === 3 && child.data.trim());
    if (!text || !node.checkVisibility()) continue;
    if (node.closest("svg")) continue;
    const [a, b] = [rgb(getComputedStyle(node).color), background(node)].map(light);
    const contrast = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    lowest = Math.min(lowest, contrast);
  }
  return lowest;
}
"""


def test_page_shows_that_the_server_does_not_answer(visit: Open) -> None:
    page = visit(quiet=False)
    page.route("**/ops/live", lambda route: route.abort())
    expect(page.locator("[data-state]")).to_contain_text("No answer since")
    page.unroute("**/ops/live")
    expect(page.locator("[data-state]")).to_contain_text("Live: updated", timeout=20_000)


def test_pages_work_without_javascript(visit: Open, in_doubt: UUID) -> None:
    page = visit(java_script_enabled=False)
    assert 'http-equiv="refresh"' in page.content()
    page.locator("#in-doubt").get_by_text("Decide…").click()
    page.get_by_text("Send again…").click()
    page.get_by_role("button", name="Send the message again").click()
    expect(page.get_by_role("status")).to_have_text("The message will be sent again.")


def test_injected_script_does_not_run(visit: Open) -> None:
    page = visit(quiet=False)
    page.evaluate(
        "const s = document.createElement('script'); s.textContent = 'window.ran = 1';"
        "document.body.append(s)"
    )
    assert page.evaluate("window.ran") is None


def test_overview_can_be_captured_as_a_screenshot(visit: Open, tmp_path: Path) -> None:
    path = tmp_path / "overview.png"
    visit().screenshot(path=path)
    assert path.read_bytes()[1:4] == b"PNG"
