"""The tasks are a table of contents: a name, a queue, one call."""

import ast
import inspect
from types import ModuleType
from unittest.mock import create_autospec
from uuid import UUID

import pytest
from celery import Celery

from service.privacy import purge, redact
from service.reconciliation import poll
from service.recording import consume_inbox, record
from service.sending import claim, deliver, expiry
from service.task_queue import queue
from worker import tasks

BODIES = [
    node for node in ast.parse(inspect.getsource(tasks)).body if isinstance(node, ast.FunctionDef)
]
MESSAGE = UUID("0198d1c5-0000-7000-8000-000000000001")


@pytest.mark.parametrize("body", BODIES, ids=lambda body: body.name)
def test_a_task_says_what_it_does_and_makes_one_call(body: ast.FunctionDef) -> None:
    assert ast.get_docstring(body), f"say in one sentence what {body.name} does"
    assert len(body.body) <= 3, f"{body.name} does too much: move it into service/flows"
    assert len(body.decorator_list) == 1
    assert all(argument.annotation for argument in body.args.args)


def test_a_task_has_the_name_of_its_function() -> None:
    assert {f"waybill.{body.name}" for body in BODIES} == set(queue.ROUTES)


def test_the_tasks_import_no_more_than_the_flows_they_call() -> None:
    found = ast.walk(ast.parse(inspect.getsource(tasks)))
    sources = {node.module for node in found if isinstance(node, ast.ImportFrom)}

    assert sources <= {"celery", "service", "service.flows"}


@pytest.mark.parametrize(
    ("task", "module", "flow", "given", "passed_on"),
    [
        (queue.DELIVER, deliver, "deliver", [queue.HELPING], []),
        (queue.EXPIRE_CLAIMS, claim, "expire_claims", [], []),
        (queue.EXPIRE_MESSAGES, expiry, "expire_due", [], []),
        (queue.CONSUME_INBOX, consume_inbox, "drain", [queue.HELPING], [queue.HELPING]),
        (queue.DRAIN_OVERFLOW, consume_inbox, "drain_overflow", [], []),
        (queue.ADOPT_ORPHANS, record, "adopt_orphans", [], []),
        (queue.RECONCILE, poll, "reconcile_due", [], []),
        (queue.REDACT, redact, "redact", [], []),
        (queue.DELETE_OLD, purge, "delete_old", [], []),
    ],
)
def test_a_task_calls_its_flow(
    task: str,
    module: ModuleType,
    flow: str,
    given: list[str],
    passed_on: list[object],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(consume_inbox, "remove_idle_consumers", lambda: None)
    called = create_autospec(getattr(module, flow))
    monkeypatch.setattr(module, flow, called)
    worker = Celery("worker", set_as_current=False)

    worker.tasks[task](*given)

    called.assert_called_once_with(*passed_on)
