"""A web process has looked at everything once before an operator waits for it."""

import threading
from unittest.mock import Mock

import pytest
from flask import Flask
from sqlalchemy.exc import OperationalError

from service import warming


@pytest.fixture
def look(monkeypatch: pytest.MonkeyPatch) -> Mock:
    look = Mock(side_effect=warming.read_overview)
    monkeypatch.setattr(warming, "read_overview", look)
    return look


@pytest.fixture
def started_by_a_server(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("multiprocessing.parent_process", lambda: "granian")


def await_it() -> None:
    for thread in threading.enumerate():
        if thread.name == warming.WARMING:
            thread.join(timeout=30)


@pytest.mark.usefixtures("started_by_a_server")
def test_a_web_process_takes_a_look_when_it_starts(app: Flask, look: Mock) -> None:
    warming.warm_up(app)
    await_it()
    look.assert_called_once_with()


@pytest.mark.usefixtures("started_by_a_server")
def test_without_a_database_it_starts_all_the_same(
    app: Flask, look: Mock, caplog: pytest.LogCaptureFixture
) -> None:
    look.side_effect = OperationalError("", None, Exception("away"))
    warming.warm_up(app)
    await_it()
    look.assert_called_once_with()
    assert caplog.text == ""


def test_a_command_takes_none(app: Flask, look: Mock) -> None:
    warming.warm_up(app)
    await_it()
    look.assert_not_called()
