"""The commands `opt-outs import` and `opt-outs export`."""

import csv
import os
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from click.testing import Result
from flask import Flask
from sqlalchemy.exc import OperationalError

from service.database import db, transaction
from service.inbound.record import record
from service.opt_outs import change, csv_files
from service.queries import opt_outs
from tests.opt_outs import PERSON, SENDER, store, stored
from tests.service.inbound.conversation import heard

ALL = "*"
OTHER = "+14155552679"
OLD = datetime(2026, 11, 1, 12, tzinfo=UTC)

Import = Callable[..., Result]


def run(app: Flask, *arguments: str, given: bytes | None = None) -> Result:
    db.session.rollback()
    return app.test_cli_runner().invoke(args=["opt-outs", *arguments], input=given)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "opt-outs.csv"


@pytest.fixture
def importing(context: Flask, file: Path) -> Import:
    """Import a text, from a file that was changed on 1 November."""

    def imported(text: str, *options: str) -> Result:
        file.write_text(text, "utf-8")
        os.utime(file, (OLD.timestamp(), OLD.timestamp()))
        return run(context, "import", str(file), *options)

    return imported


def test_rows_without_a_sender_are_for_every_sender(importing: Import) -> None:
    done = importing(f"\ufeffNumber\n{PERSON}\n+1 (415) 555-2672\n\n{PERSON}\n")
    assert (done.exit_code, done.stdout) == (0, "imported 3 rows: 2 opt-outs began\n")
    assert stored() == [(PERSON, ALL, ALL), ("+14155552672", ALL, ALL)]


def test_rows_name_sender_provider_and_time(importing: Import) -> None:
    since = "2026-11-20T10:00:00+02:00"
    text = f"number,sender,provider,since\n{PERSON},{SENDER},,{since}\n{PERSON},ACME,twilio,\n"
    assert importing(text).exit_code == 0
    assert stored() == [(PERSON, SENDER, "twilio"), (PERSON, "ACME", "twilio")]
    rows = {row.sender: row for row in opt_outs.by_recipient([PERSON]).values()}
    assert rows[SENDER].since == datetime(2026, 11, 20, 8, tzinfo=UTC)
    assert rows["ACME"].since == OLD
    assert {(row.reason, row.changed_by) for row in rows.values()} == {("import", "command")}


def test_bad_rows_are_named_and_the_others_imported(importing: Import) -> None:
    rows = {
        "nobody,*,,": "number",
        f"{OTHER},,,": "sender is empty",
        f"{OTHER},TWELVELETTER,,": "sender",
        f"{OTHER},{SENDER},acme,": "provider must be one of: twilio",
        f"{OTHER},*,twilio,": "provider must be *",
        f"{OTHER},{SENDER},,yesterday": "since must be a time",
        f"{OTHER},{SENDER},,2026-11-20T10:00:00": "since must have an offset",
        f"{OTHER},{SENDER},,2099-11-20T10:00:00Z": "since must be in the past",
        f"{OTHER},{SENDER},,,,,,": "more cells",
    }
    done = importing("\n".join(["number,sender,provider,since", *rows, f"{OTHER},72345,,"]))
    assert done.exit_code == 1
    listed = [line for line in done.stderr.splitlines() if line.startswith("line ")]
    for (number, reason), line in zip(enumerate(rows.values(), 2), listed, strict=True):
        assert line.startswith(f"line {number}: ")
        assert reason in line
    assert "9 rows were not imported" in done.stderr
    assert OTHER not in done.stderr
    assert stored() == [(OTHER, "72345", "twilio")]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "number is missing"),
        (f"number,sendr\n{PERSON},ACME\n", "unknown column 'sendr'"),
        (f"number;sender\n{PERSON};ACME\n", "separated by commas"),
        (f"sender\n{SENDER}\n", "number is missing"),
        (f"number,number\n{PERSON},{PERSON}\n", "twice"),
        (f'number\n"{PERSON}\n', "not CSV"),
    ],
)
def test_unusable_file_is_refused(importing: Import, text: str, reason: str) -> None:
    """A misspelt `sender` must not mean every sender."""
    refused = importing(text)
    assert refused.exit_code == 1
    assert reason in refused.stderr
    assert stored() == []


def test_file_in_another_encoding_is_refused(context: Flask, file: Path) -> None:
    file.write_bytes("number,sender\n+14155552671,Café\n".encode("latin-1"))
    refused = run(context, "import", str(file))
    assert refused.exit_code == 1
    assert "UTF-8" in refused.stderr
    assert stored() == []


def test_second_import_does_not_undo_a_start(importing: Import) -> None:
    text = f"number,sender\n{PERSON},{SENDER}\n"
    importing(text)
    record([heard("START")])
    done = importing(text)
    assert (done.exit_code, done.stdout) == (0, "imported 1 rows: 0 opt-outs began\n")
    assert stored() == []
    importing(text, "--since", datetime.now(UTC).isoformat())
    assert stored() == [(PERSON, SENDER, "twilio")]


def test_standard_input_is_imported(context: Flask) -> None:
    assert run(context, "import", "-", given=f"number\n{PERSON}\n".encode()).exit_code == 0
    assert stored() == [(PERSON, ALL, ALL)]


def test_import_goes_on_after_an_interruption(
    importing: Import, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second transaction fails: the first is kept, and another run imports the rest."""
    text = "\n".join(["number", *(f"+1415555{number:04}" for number in range(25))])
    monkeypatch.setattr(csv_files, "_BATCH", 10)
    applied, calls = csv_files.apply, list[int]()

    def failing(changes: list[opt_outs.Change]) -> int:
        calls.append(len(changes))
        if len(calls) == 2:
            raise OperationalError("COMMIT", None, Exception("connection lost"))
        return applied(changes)

    monkeypatch.setattr(csv_files, "apply", failing)
    assert importing(text).exit_code == 1
    assert len(stored()) == 10
    assert importing(text).stdout == "imported 25 rows: 15 opt-outs began\n"
    assert len(stored()) == 25


def test_export_can_be_imported(
    context: Flask, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(csv_files, "_BATCH", 2)
    for number in range(5):
        store(f"+1415555300{number}", since=OLD + timedelta(hours=number))
    change.begin(PERSON, None, reason="client", by='client "a, b"')
    store(sender="72345")
    change.end(PERSON, "72345", reason="client", by="client billing")
    before = stored()
    assert len(before) == 6
    done = run(context, "export", str(file))
    assert (done.exit_code, "exported 6 opt-outs" in done.stderr) == (0, True)
    assert list(file.parent.iterdir()) == [file]
    rows = list(csv.DictReader(file.read_text("utf-8").splitlines()))
    assert [(row["number"], row["sender"], row["provider"]) for row in rows] == before
    assert rows[2]["since"] == "2026-11-01T13:00:00+00:00"
    assert {row["changed_by"] for row in rows} == {"provider", 'client "a, b"'}

    with transaction():
        opt_outs.remove({to for to, *_ in before})
    assert run(context, "import", str(file)).exit_code == 0
    assert stored() == before


def test_export_to_standard_output_has_a_header(context: Flask) -> None:
    store()
    lines = run(context, "export", "-").stdout.splitlines()
    assert lines[0] == "number,sender,provider,since,reason,changed_by,error_code"
    assert lines[1].startswith(f"{PERSON},{SENDER},twilio,")
