from service.task_queue import queue
from service.task_queue.celery_settings import VISIBILITY_TIMEOUT
from worker.schedule import SCHEDULE


def test_tasks_run_as_often_as_they_must() -> None:
    """Written out again: a slip in the schedule must differ from this."""
    seconds = {name.removeprefix("waybill."): entry["schedule"] for name, entry in SCHEDULE.items()}
    assert seconds == {
        "consume_inbox": 5,
        "deliver": 1,
        "notify": 1,
        "expire_claims": 10,
        "expire_messages": 5,
        "reconcile": 1,
        "find_inbound": 10,
        "adopt_orphans": 10,
        "drain_overflow": 5,
        "redact": 10,
        "delete_old": 10,
        "partition_ledger": 60,
    }


def test_every_task_is_scheduled_under_its_name() -> None:
    """A request may be lost with its process or its broker: no task depends on one."""
    assert {entry["task"] for entry in SCHEDULE.values()} == set(SCHEDULE) == set(queue.ROUTES)


def test_scheduled_task_expires_before_a_backlog_grows() -> None:
    for entry in SCHEDULE.values():
        assert entry["schedule"] <= entry["options"]["expires"] <= VISIBILITY_TIMEOUT
