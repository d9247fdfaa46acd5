"""The schedule of beat: every task at its interval, and tasks that expire."""

from service.task_queue import queue
from worker.schedule import SCHEDULE


def test_schedule_runs_each_task_at_its_interval() -> None:
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


def test_schedule_has_every_task() -> None:
    """Wake-ups can be lost with a process or the broker; the schedule replaces them."""
    assert set(SCHEDULE) == set(queue.ROUTES)


def test_scheduled_tasks_expire() -> None:
    for entry in SCHEDULE.values():
        assert entry["schedule"] <= entry["options"]["expires"] <= queue.VISIBILITY_TIMEOUT
