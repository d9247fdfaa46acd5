"""Operator sessions: they end in every replica, expire, and cannot be forged."""

import hashlib
import hmac
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from itsdangerous import URLSafeTimedSerializer
from sqlalchemy import select, update

from demo.servers import free_port
from service.app import create_app
from service.database import db, transaction
from service.models import OperatorKey, OperatorSession
from tests.conftest import ACCOUNT, BASE_URL, TOKEN, make_settings
from tests.fakes import FakeProvider
from tests.service.web.ops.conftest import BASE, Operator, in_own_context, make_operator_key

ROOT = Path(__file__).parents[4]
SECRET_COMMAND = "import secrets; print(secrets.token_urlsafe(32))"


@pytest.fixture
def another_app(database_url: str, redis_url: str) -> Iterator[Callable[..., Flask]]:
    """Return a function that makes a web server on the same database, with other settings."""
    apps = []

    def make(**changes: str) -> Flask:
        settings = make_settings(database_url, redis_url, **changes)
        apps.append(create_app(settings, providers={"twilio": FakeProvider()}))
        return apps[-1]

    yield make
    for app in apps:
        with app.app_context():
            db.engine.dispose()


def cookie_of(operator: Operator) -> str:
    cookie = operator.client.get_cookie("waybill_ops", domain="localhost", path="/ops")
    assert cookie
    return cookie.value


def with_cookie(app: Flask, value: str) -> Operator:
    """Return another browser that has this cookie."""
    browser = Operator(app)
    browser.client.set_cookie("waybill_ops", value, domain="localhost", path="/ops", secure=True)
    return browser


def run(app: Flask, *arguments: str) -> Any:
    return app.test_cli_runner().invoke(args=["operators", *arguments])


def age(app: Flask, **columns: timedelta) -> None:
    """Move the sessions into the past."""
    times = {name: datetime.now(UTC) - ago for name, ago in columns.items()}
    with app.app_context(), transaction():
        db.session.execute(update(OperatorSession).values(times))


def forged(secret: bytes, content: dict[str, object]) -> str:
    """Return a cookie signed as Flask does."""
    options = {"key_derivation": "hmac", "digest_method": hashlib.sha1}
    return str(
        URLSafeTimedSerializer(secret, salt="cookie-session", signer_kwargs=options).dumps(content)
    )


def test_cookie_is_invalid_after_logout(app: Flask, operator: Operator) -> None:
    stolen = cookie_of(operator)
    assert with_cookie(app, stolen).get("/").status_code == 200
    operator.post("/logout")
    assert with_cookie(app, stolen).get("/").status_code == 303


def test_session_ends_in_every_web_server(
    another_app: Callable[..., Flask], operator: Operator
) -> None:
    other = another_app()
    stolen = cookie_of(operator)
    assert with_cookie(other, stolen).get("/").status_code == 200
    operator.post("/logout")
    assert with_cookie(other, stolen).get("/").status_code == 303


def test_logout_keeps_other_sessions(app: Flask, operator: Operator, operator_key: str) -> None:
    second = Operator(app)
    second.log_in(operator_key)
    operator.post("/logout")
    assert second.get("/").status_code == 200


def test_command_lists_and_ends_sessions(app: Flask, operator: Operator, operator_key: str) -> None:
    second = Operator(app)
    second.log_in(operator_key)
    listed = run(app, "sessions").output
    numbers = re.findall(r"^ *(\d+)  ada  key \d+  since .+Z  seen .+Z$", listed, re.MULTILINE)
    assert len(numbers) == 2
    assert "2 open sessions" in listed

    assert run(app, "log-out", numbers[0]).output == "ended 1 sessions\n"
    assert (operator.get("/").status_code, second.get("/").status_code) == (303, 200)
    assert run(app, "log-out", "--all").output == "ended 1 sessions\n"
    assert second.get("/").status_code == 303
    assert run(app, "sessions").output == "0 open sessions\n"
    assert run(app, "log-out").exit_code == 2


def test_revoked_key_ends_only_its_own_sessions(app: Flask, operator: Operator) -> None:
    eve = Operator(app)
    eve.log_in(make_operator_key(app, "eve"))
    with app.app_context():
        number = db.session.scalars(select(OperatorKey.id).where(OperatorKey.name == "ada")).one()
    assert run(app, "revoke", str(number)).exit_code == 0
    assert (operator.get("/").status_code, eve.get("/").status_code) == (303, 200)
    assert "1 open sessions" in run(app, "sessions").output


@pytest.mark.parametrize(
    ("created", "seen", "status"),
    [
        (timedelta(hours=11), timedelta(minutes=59), 200),
        (timedelta(hours=11), timedelta(minutes=61), 303),
        (timedelta(hours=12, minutes=1), timedelta(0), 303),
    ],
    ids=["in use", "idle", "too long"],
)
def test_session_expires(
    app: Flask, operator: Operator, created: timedelta, seen: timedelta, status: int
) -> None:
    age(app, created_at=created, seen_at=seen)
    assert operator.get("/").status_code == status


def test_requests_extend_a_session(app: Flask, operator: Operator) -> None:
    for _ in range(3):
        age(app, seen_at=timedelta(minutes=40))
        assert operator.get("/").status_code == 200
    with app.app_context():
        seen = db.session.scalars(select(OperatorSession.seen_at)).one()
    assert datetime.now(UTC) - seen < timedelta(minutes=1)


def test_every_login_gets_a_new_session_id(app: Flask, operator_key: str) -> None:
    """Otherwise a cookie that an attacker set before the login would be logged in, too."""
    visitor = Operator(app)
    visitor.get("/login")
    planted = cookie_of(visitor)
    visitor.log_in(operator_key)
    first = cookie_of(visitor)
    visitor.log_in(operator_key)
    assert len({planted, first, cookie_of(visitor)}) == 3
    assert with_cookie(app, planted).get("/").status_code == 303
    with app.app_context():
        assert len(db.session.scalars(select(OperatorSession.digest)).all()) == 2


def test_session_id_is_stored_as_a_digest_only(app: Flask, operator: Operator) -> None:
    # The cookie is signed, not encrypted: it can be read without the secret.
    content = URLSafeTimedSerializer("", salt="cookie-session").loads_unsafe(cookie_of(operator))
    session_id = str(content[1]["id"])
    with app.app_context():
        stored = db.session.execute(select(OperatorSession.__table__)).mappings().one()
    assert stored["digest"] == hashlib.sha256(session_id.encode()).digest()
    assert session_id not in str(dict(stored))


@pytest.mark.parametrize("name", ["key", "id"])
def test_twilio_token_signs_no_session(app: Flask, operator: Operator, name: str) -> None:
    with app.app_context():
        number = db.session.scalars(select(OperatorKey.id)).one()
    derived = hmac.digest(TOKEN.encode(), b"waybill: sessions of /ops", hashlib.sha256)
    for secret in (derived, TOKEN.encode()):
        for value in (number, str(number)):
            assert with_cookie(app, forged(secret, {name: value})).get("/").status_code == 303


def test_signed_cookie_without_a_session_is_refused(app: Flask, operator: Operator) -> None:
    """A leaked OPS_SECRET is not enough: the session id must be in the database."""
    secret = app.secret_key
    assert isinstance(secret, bytes)
    for content in ({"key": 1}, {"id": "1"}, {"id": ""}, {"id": 1}, {"id": None}, {"id": ["x"]}):
        assert with_cookie(app, forged(secret, dict(content))).get("/").status_code == 303


def test_cookie_is_secure_if_the_request_used_https(
    another_app: Callable[..., Flask], operator_key: str
) -> None:
    other = another_app(PUBLIC_BASE_URL="http://sms.example.com")
    [cookie] = Operator(other).log_in(operator_key).headers.getlist("Set-Cookie")
    assert "Secure" in cookie


# Without OPS_SECRET


@pytest.fixture
def without_secret(app: Flask, another_app: Callable[..., Flask]) -> Flask:
    return another_app(OPS_SECRET="")


def test_operators_create_refuses_without_the_secret(without_secret: Flask) -> None:
    refused = run(without_secret, "create", "ada")
    assert refused.exit_code == 1
    assert "OPS_SECRET" in refused.output
    assert SECRET_COMMAND in refused.output
    assert "no" not in run(without_secret, "list").output


def test_pages_name_the_missing_secret(without_secret: Flask, operator_key: str) -> None:
    client = without_secret.test_client()
    for path in ("/ops/", "/ops/login", "/ops/messages"):
        answer = in_own_context(client.get, path, base_url=BASE)
        assert answer.status_code == 503
        assert "OPS_SECRET" in answer.text
        assert "secrets.token_urlsafe(32)" in answer.text
        assert "Set-Cookie" not in answer.headers
    posted = in_own_context(client.post, "/ops/login", data={"key": operator_key}, base_url=BASE)
    assert (posted.status_code, "Set-Cookie" in posted.headers) == (503, False)
    with in_own_context(client.get, "/ops/static/ops.css", base_url=BASE) as style:
        assert style.status_code == 200


def test_twilio_token_is_no_replacement_for_the_secret(
    without_secret: Flask, operator_key: str
) -> None:
    with without_secret.app_context():
        number = db.session.scalars(select(OperatorKey.id)).one()
    derived = hmac.digest(TOKEN.encode(), b"waybill: sessions of /ops", hashlib.sha256)
    assert with_cookie(without_secret, forged(derived, {"key": number})).get("/").status_code == 503


def test_api_works_without_the_secret(without_secret: Flask, key: str) -> None:
    hello = {"to": "+14155552671", "body": "Hello"}
    headers = {"Authorization": f"Bearer {key}"}
    client = without_secret.test_client()
    assert (
        in_own_context(client.post, "/v1/messages", json=hello, headers=headers).status_code == 202
    )
    assert in_own_context(client.get, "/readyz").status_code == 200


# At start


def environment(database_url: str, redis_url: str, secret: str) -> dict[str, str]:
    return {
        "PATH": str(Path(sys.executable).parent),
        "DATABASE_URL": database_url,
        "REDIS_URL": redis_url,
        "PUBLIC_BASE_URL": BASE_URL,
        "TWILIO_ACCOUNT_SID": ACCOUNT,
        "TWILIO_AUTH_TOKEN": "the-token-of-twilio",
        "OPS_SECRET": secret,
    }


@pytest.mark.slow
def test_server_with_operators_and_no_secret_does_not_start(
    operator_key: str, database_url: str, redis_url: str
) -> None:
    command = [*("granian", "--interface", "wsgi", "wsgi:app", "--host", "127.0.0.1")]
    command += ["--port", str(free_port())]
    server = subprocess.Popen(
        command,
        cwd=ROOT,
        env=environment(database_url, redis_url, secret=""),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,  # it writes part of its log to each
        text=True,
        start_new_session=True,
    )
    try:
        output, _ = server.communicate(timeout=60)
    except subprocess.TimeoutExpired:
        os.killpg(server.pid, signal.SIGKILL)
        server.communicate()
        raise
    assert server.returncode != 0
    assert "OPS_SECRET" in output
    assert SECRET_COMMAND in output
    assert "the-token-of-twilio" not in output


@pytest.mark.slow
@pytest.mark.parametrize(
    ("operators", "secret", "command", "starts"),
    [
        (0, "", "import wsgi", True),
        (1, "s" * 32, "import wsgi", True),
        (1, "", "import wsgi", False),
        (1, "", "import worker.app", True),
    ],
    ids=["no operators", "a secret", "no secret", "a worker"],
)
def test_web_process_with_operators_requires_the_secret(
    app: Flask,
    database_url: str,
    redis_url: str,
    operators: int,
    secret: str,
    command: str,
    starts: bool,
) -> None:
    for _ in range(operators):
        make_operator_key(app, "ada")
    ran = subprocess.run(
        [sys.executable, "-c", command],
        cwd=ROOT,
        env=environment(database_url, redis_url, secret),
        capture_output=True,
        text=True,
        check=False,
    )
    assert (ran.returncode == 0) is starts, ran.stderr
    assert (SECRET_COMMAND in ran.stderr) is not starts


@pytest.mark.slow
def test_commands_run_without_the_secret(
    operator_key: str, database_url: str, redis_url: str
) -> None:
    """Commands revoke keys and migrate the tables: they must not need it."""
    ran = subprocess.run(
        ["flask", "--app", "service.app", "operators", "list"],
        cwd=ROOT,
        env=environment(database_url, redis_url, secret=""),
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    assert "ada" in ran.stdout


@pytest.mark.slow
def test_server_starts_without_its_database(redis_url: str, tmp_path: Path) -> None:
    ran = subprocess.run(
        [sys.executable, "-c", "import wsgi"],
        cwd=ROOT,
        env=environment("postgresql://waybill@127.0.0.1:1/waybill", redis_url, secret=""),
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
