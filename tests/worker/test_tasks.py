import ast
import inspect
from types import ModuleType
from unittest.mock import create_autospec

import pytest
from celery import Celery

from service.inbound import adopt
from service.operations import ledger_partitions
from service.privacy import purge, redact
from service.reconciliation import find_inbound, poll
from service.recording import consume_inbox, record, return_to_inbox
from service.sending import claim, deliver, expiry
from service.task_queue import queue
from worker import tasks

BODIES = [
    node for node in ast.parse(inspect.getsource(tasks)).body if isinstance(node, ast.FunctionDef)
]


@pytest.mark.parametrize("body", BODIES, ids=lambda body: body.name)
def test_task_has_at_most_three_statements(body: ast.FunctionDef) -> None:
    assert len(body.body) <= 3, f"{body.name}: move the work into service/"
    assert len(body.decorator_list) == 1


def test_tasks_are_named_after_their_functions() -> None:
    assert {f"waybill.{body.name}" for body in BODIES} == set(queue.ROUTES)


@pytest.mark.parametrize(
    ("task", "module", "function"),
    [
        (queue.DELIVER, deliver, "deliver"),
        (queue.EXPIRE_CLAIMS, claim, "expire_claims"),
        (queue.EXPIRE_MESSAGES, expiry, "expire_due"),
        (queue.CONSUME_INBOX, consume_inbox, "consume_inbox"),
        (queue.DRAIN_OVERFLOW, return_to_inbox, "drain_overflow"),
        (queue.ADOPT_ORPHANS, record, "adopt_orphans"),
        (queue.ADOPT_ORPHANS, adopt, "adopt"),
        (queue.RECONCILE, poll, "reconcile_due"),
        (queue.FIND_INBOUND, find_inbound, "find_inbound"),
        (queue.REDACT, redact, "redact"),
        (queue.DELETE_OLD, purge, "delete_old"),
        (queue.PARTITION_LEDGER, ledger_partitions, "maintain"),
    ],
)
def test_task_calls_its_function(
    task: str, module: ModuleType, function: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    called = create_autospec(getattr(module, function))
    # The second calls of two tasks, and the first where the second is tested.
    monkeypatch.setattr(consume_inbox, "sweep_inbox", lambda: None)
    monkeypatch.setattr(record, "adopt_orphans", lambda: None)
    monkeypatch.setattr(adopt, "adopt", lambda: None)
    monkeypatch.setattr(module, function, called)
    worker = Celery("worker", set_as_current=False)

    worker.tasks[task]()

    called.assert_called_once_with()
