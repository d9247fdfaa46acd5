"""The clock, written out again: a slip in the schedule must meet a second opinion."""

from service.task_queue import queue
from worker.schedule import SCHEDULE


def test_every_sweep_runs_as_often_as_it_must() -> None:
    assert SCHEDULE == {
        "waybill.drain": {
            "task": "waybill.drain",
            "args": ("helping",),
            "schedule": 5,
            "options": {"expires": 60},
        },
        "waybill.deliver": {
            "task": "waybill.deliver",
            "args": (),
            "schedule": 1,
            "options": {"expires": 60},
        },
        "waybill.expire_claims": {
            "task": "waybill.expire_claims",
            "args": (),
            "schedule": 10,
            "options": {"expires": 60},
        },
        "waybill.expire_messages": {
            "task": "waybill.expire_messages",
            "args": (),
            "schedule": 5,
            "options": {"expires": 60},
        },
        "waybill.reconcile": {
            "task": "waybill.reconcile",
            "args": (),
            "schedule": 1,
            "options": {"expires": 60},
        },
        "waybill.adopt_orphans": {
            "task": "waybill.adopt_orphans",
            "args": (),
            "schedule": 10,
            "options": {"expires": 60},
        },
        "waybill.drain_overflow": {
            "task": "waybill.drain_overflow",
            "args": (),
            "schedule": 5,
            "options": {"expires": 60},
        },
        "waybill.redact": {
            "task": "waybill.redact",
            "args": (),
            "schedule": 10,
            "options": {"expires": 60},
        },
        "waybill.delete_old": {
            "task": "waybill.delete_old",
            "args": (),
            "schedule": 10,
            "options": {"expires": 60},
        },
    }


def test_the_clock_runs_everything() -> None:
    """A wake may be lost with its process or its broker: nothing depends on one."""
    assert set(SCHEDULE) == set(queue.ROUTES)


def test_a_tick_that_nobody_took_is_gone_before_a_worker_drowns_in_them() -> None:
    for tick in SCHEDULE.values():
        assert tick["schedule"] <= tick["options"]["expires"] <= queue.VISIBILITY_TIMEOUT
