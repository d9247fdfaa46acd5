"""The Celery application: late acknowledgement, JSON only, one Flask context per task."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from celery import Celery
from celery.beat import Service
from flask import Flask, current_app
from redis import Redis

from service.components import components
from service.database import db
from service.models import Message
from service.task_queue import queue
from service.task_queue.celery_settings import VISIBILITY_TIMEOUT
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


def import_worker(**environment: str) -> "subprocess.CompletedProcess[str]":
    """Import the worker in a new process, as Celery's command does."""
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
    """The Celery application of `app`; importing `worker.app` builds another one."""
    for name, value in ENVIRONMENT.items():
        monkeypatch.setenv(name, value)
    from worker.app import make_celery

    celery = make_celery(app)
    celery.loader.import_default_modules()
    return celery


@pytest.mark.slow
def test_worker_import_connects_to_nothing() -> None:
    ran = import_worker(**ENVIRONMENT)

    assert (ran.returncode, ran.stdout) == (0, "3\n"), ran.stderr


@pytest.mark.slow
def test_worker_without_settings_names_the_missing_ones() -> None:
    ran = import_worker(TWILIO_AUTH_TOKEN="", TWILIO_ACCOUNT_SID="", PUBLIC_BASE_URL="")

    assert ran.returncode != 0
    assert "TWILIO_ACCOUNT_SID" in ran.stderr
    assert "PUBLIC_BASE_URL" in ran.stderr


def test_task_of_a_dead_worker_goes_to_another(celery: Celery) -> None:
    assert celery.conf.task_acks_late is True
    assert celery.conf.worker_prefetch_multiplier == 1
    for name in queue.ROUTES:
        assert celery.tasks[name].acks_late is True


def test_worker_accepts_json_only(celery: Celery) -> None:
    assert celery.conf.accept_content == ["json"]
    assert celery.conf.task_serializer == "json"


def test_task_results_are_not_stored(celery: Celery) -> None:
    assert celery.conf.result_backend is None
    assert celery.conf.task_ignore_result is True
    for name in queue.ROUTES:
        assert celery.tasks[name].ignore_result is True


def test_worker_and_service_share_broker_and_routes(celery: Celery, redis_url: str) -> None:
    assert celery.conf.broker_url == redis_url
    assert celery.conf.task_routes == {name: {"queue": to} for name, to in queue.ROUTES.items()}
    assert celery.conf.broker_transport_options["visibility_timeout"] == VISIBILITY_TIMEOUT


def test_task_from_beat_has_its_time_of_enqueuing(celery: Celery, redis_url: str) -> None:
    """Beat enqueues through Celery, not through our `TaskQueue`."""
    celery.tasks[queue.DELIVER].apply_async(expires=60)
    with Redis.from_url(redis_url) as redis:
        [task] = redis.lrange(queue.SEND, 0, -1)

    assert 0 <= time.time() - json.loads(task)["headers"]["enqueued_at"] < 10


def test_worker_has_a_schedule_and_threads(celery: Celery, app: Flask) -> None:
    assert celery.conf.beat_schedule == SCHEDULE
    assert celery.conf.worker_pool == "threads"
    assert celery.conf.worker_concurrency == app.extensions["waybill"].settings.worker_concurrency


def test_beat_writes_nothing_to_disk(
    celery: Celery, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The working directory may be read-only."""
    monkeypatch.chdir(tmp_path)
    scheduler = Service(celery, scheduler_cls=celery.conf.beat_scheduler).scheduler

    assert set(scheduler.schedule) >= set(SCHEDULE)
    scheduler.close()
    assert list(tmp_path.iterdir()) == []


def test_task_runs_in_the_application_context(celery: Celery, app: Flask) -> None:
    @celery.task(name="probe", shared=False)
    def probe() -> Flask:
        current: Flask = current_app._get_current_object()  # type: ignore[attr-defined]
        return current

    assert probe() is app


@pytest.mark.parametrize("name", sorted(set(queue.ROUTES) - {queue.DELIVER}))
def test_every_task_runs_on_an_empty_database(celery: Celery, name: str) -> None:
    celery.tasks[name]()


def test_deliver_task_sends_an_accepted_message(
    celery: Celery, app: Flask, provider: FakeProvider
) -> None:
    web = app.test_client()
    key = make_key(app, "billing")
    web.post(
        "/v1/messages",
        json={"to": "+14155552671", "body": "Hello"},
        headers={"Authorization": f"Bearer {key}"},
    )

    celery.tasks[queue.DELIVER]()

    assert [outbound.body for outbound in provider.on_air] == ["Hello"]
    with app.app_context():
        [message] = db.session.scalars(db.select(Message))
        assert message.status == "queued"
        assert components().providers["twilio"] is provider
