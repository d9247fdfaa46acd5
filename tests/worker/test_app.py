"""The worker's own settings: late acknowledgement, JSON only, one Flask context per task."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from uuid import uuid4

import pytest
from celery import Celery
from celery.beat import Service
from flask import Flask, current_app
from redis import Redis

from service.components import components
from service.database import db
from service.models import Message
from service.task_queue import queue
from tests.conftest import ACCOUNT, BASE_URL, TOKEN, make_key
from tests.fakes import FakeProvider
from worker.schedule import SCHEDULE

ROOT = Path(__file__).parents[2]
ENVIRONMENT = {
    "DATABASE_URL": "sqlite:////nowhere/unused.db",
    "REDIS_URL": "redis://127.0.0.1:1/0",
    "PUBLIC_BASE_URL": BASE_URL,
    "TWILIO_ACCOUNT_SID": ACCOUNT,
    "TWILIO_AUTH_TOKEN": TOKEN,
    "WORKER_CONCURRENCY": "3",
}


def import_it(**environment: str) -> "subprocess.CompletedProcess[str]":
    """Import the worker as Celery's command does, in a process of its own."""
    inherited = {name: value for name, value in os.environ.items() if name not in ENVIRONMENT}
    return subprocess.run(
        [sys.executable, "-c", "from worker.app import app; print(app.conf.worker_concurrency)"],
        cwd=ROOT,
        env={**inherited, **environment},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.fixture
def celery(app: Flask, monkeypatch: pytest.MonkeyPatch) -> Celery:
    """The worker of the application under test; importing it makes one of the environment, too."""
    for name, value in ENVIRONMENT.items():
        monkeypatch.setenv(name, value)
    from worker.app import make_celery

    made = make_celery(app)
    made.loader.import_default_modules()
    return made


def test_the_worker_is_made_of_the_environment_and_connects_to_nothing_yet() -> None:
    ran = import_it(**ENVIRONMENT)

    assert (ran.returncode, ran.stdout) == (0, "3\n"), ran.stderr


def test_a_worker_without_settings_does_not_start_and_names_what_is_missing() -> None:
    ran = import_it(TWILIO_AUTH_TOKEN="", TWILIO_ACCOUNT_SID="AC1", PUBLIC_BASE_URL=BASE_URL)

    assert ran.returncode != 0
    assert "TWILIO_ACCOUNT_SID" in ran.stderr
    assert "TWILIO_AUTH_TOKEN" in ran.stderr


def test_a_task_that_a_dying_worker_held_goes_to_another(celery: Celery) -> None:
    assert celery.conf.task_acks_late is True
    assert celery.conf.worker_prefetch_multiplier == 1
    for name in queue.ROUTES:
        assert celery.tasks[name].acks_late is True


def test_nothing_but_json_is_read(celery: Celery) -> None:
    assert celery.conf.accept_content == ["json"]
    assert celery.conf.task_serializer == "json"


def test_no_result_is_kept_anywhere(celery: Celery) -> None:
    assert celery.conf.result_backend is None
    assert celery.conf.task_ignore_result is True
    for name in queue.ROUTES:
        assert celery.tasks[name].ignore_result is True


def test_the_worker_reads_what_the_service_writes(celery: Celery, redis_url: str) -> None:
    assert celery.conf.broker_url == redis_url
    assert celery.conf.task_routes == {name: {"queue": to} for name, to in queue.ROUTES.items()}
    assert celery.conf.broker_transport_options["visibility_timeout"] == queue.VISIBILITY_TIMEOUT


def test_a_task_says_when_it_was_enqueued_also_one_of_the_clock(
    celery: Celery, redis_url: str
) -> None:
    """The clock enqueues through Celery, and not through our `Queue`."""
    celery.tasks[queue.DELIVER].apply_async(args=["x"], expires=60)
    with Redis.from_url(redis_url) as redis:
        [task] = redis.lrange(queue.SEND, 0, -1)

    assert 0 <= time.time() - json.loads(task)["headers"]["enqueued_at"] < 10


def test_the_worker_has_a_clock_and_threads(celery: Celery, app: Flask) -> None:
    assert celery.conf.beat_schedule == SCHEDULE
    assert celery.conf.worker_pool == "threads"
    assert celery.conf.worker_concurrency == app.extensions["waybill"].settings.worker_concurrency


def test_the_clock_leaves_nothing_on_disk(
    celery: Celery, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its directory may be read-only, and a file there is one more thing to look after."""
    monkeypatch.chdir(tmp_path)
    clock = Service(celery, scheduler_cls=celery.conf.beat_scheduler).scheduler

    assert set(clock.schedule) >= set(SCHEDULE)
    clock.close()
    assert list(tmp_path.iterdir()) == []


def test_a_task_runs_inside_the_application(celery: Celery, app: Flask) -> None:
    @celery.task(name="probe", shared=False)
    def probe() -> Flask:
        found: Flask = current_app._get_current_object()  # type: ignore[attr-defined]
        return found

    assert probe() is app


@pytest.mark.parametrize("name", sorted(set(queue.ROUTES) - {queue.DELIVER}))
def test_every_sweep_finds_nothing_to_do_in_an_empty_service(celery: Celery, name: str) -> None:
    celery.tasks[name]()


def test_a_message_that_is_unknown_is_no_error(celery: Celery) -> None:
    celery.tasks[queue.DELIVER](str(uuid4()))


def test_an_accepted_message_is_delivered_by_its_task(
    celery: Celery, app: Flask, provider: FakeProvider
) -> None:
    web = app.test_client()
    key = make_key(app, "billing")
    posted = web.post(
        "/v1/messages",
        json={"to": "+14155552671", "body": "Hello"},
        headers={"Authorization": f"Bearer {key}"},
    )

    celery.tasks[queue.DELIVER](posted.json["id"])

    assert [outbound.body for outbound in provider.on_air] == ["Hello"]
    with app.app_context():
        [message] = db.session.scalars(db.select(Message))
        assert message.status == "queued"
        assert components().providers["twilio"] is provider
