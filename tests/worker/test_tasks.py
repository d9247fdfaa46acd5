"""Tasks: each one calls one function of the service."""

from types import ModuleType
from unittest.mock import create_autospec

import pytest
from celery import Celery

from service.privacy import purge, redact
from service.reconciliation import poll
from service.recording import consume_inbox, record
from service.sending import claim, deliver, expiry
from service.task_queue import queue
from worker import tasks

assert tasks  # registers the tasks


def test_every_routed_task_is_registered() -> None:
    worker = Celery("worker", set_as_current=False)
    assert {name for name in worker.tasks if name.startswith("waybill.")} == set(queue.ROUTES)


@pytest.mark.parametrize(
    ("task", "module", "function", "arguments", "passed_on"),
    [
        (queue.DELIVER, deliver, "deliver", [queue.HELPING], []),
        (queue.EXPIRE_CLAIMS, claim, "expire_claims", [], []),
        (queue.EXPIRE_MESSAGES, expiry, "expire_due", [], []),
        (queue.DRAIN, consume_inbox, "drain", [queue.HELPING], [queue.HELPING]),
        (queue.DRAIN_OVERFLOW, consume_inbox, "drain_overflow", [], []),
        (queue.ADOPT_ORPHANS, record, "adopt_orphans", [], []),
        (queue.RECONCILE, poll, "reconcile_due", [], []),
        (queue.REDACT, redact, "redact", [], []),
        (queue.DELETE_OLD, purge, "delete_old", [], []),
    ],
)
def test_task_calls_its_function(
    task: str,
    module: ModuleType,
    function: str,
    arguments: list[str],
    passed_on: list[object],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(consume_inbox, "remove_idle_consumers", lambda: None)
    called = create_autospec(getattr(module, function))
    monkeypatch.setattr(module, function, called)
    worker = Celery("worker", set_as_current=False)

    worker.tasks[task](*arguments)

    called.assert_called_once_with(*passed_on)
