"""Login, CSRF tokens, and the headers of the operator pages."""

import re

import pytest
from flask import Flask, session
from flask.testing import FlaskClient

from service.app import create_app
from service.database import db
from service.models import OperatorKey
from service.queries.keys import digest_of
from tests.conftest import make_key, make_settings
from tests.fakes import FakeProvider, fake_signature
from tests.service.web.ops.conftest import BASE, Operator, make_operator_key

PAGES = (
    *("/", "/live", "/messages", "/doubts", "/dead-letters", "/holds", "/test", "/webhooks"),
    *("/conversation", "/conversation/live", "/inbound", "/opt-outs"),
)
ID = "01a1fd14-9522-7078-b19f-9ef257cf0b38"
MESSAGE, ENDPOINT, INBOUND = f"/messages/{ID}", f"/webhooks/{ID}", f"/inbound/{ID}"
FORMS = (
    *("/logout", "/test", "/dead-letters/replay", "/resend"),
    *("/holds/pause", "/holds/7/release", "/holds/7/extend"),
    *(f"{MESSAGE}/{action}" for action in ("look-up", "send-again", "resend", "give-up", "sid")),
    *(f"{ENDPOINT}/{action}" for action in ("enable", "recover", f"deliveries/{ID}/retry")),
    *(f"{INBOUND}/give", "/opt-outs/begin", "/opt-outs/end"),
)


@pytest.mark.parametrize("page", [*PAGES, MESSAGE, f"{MESSAGE}/live", ENDPOINT, INBOUND])
def test_page_without_a_session_redirects_to_the_login(stranger: Operator, page: str) -> None:
    answer = stranger.get(page)
    assert answer.status_code == 303
    assert answer.location.startswith("/ops/login?next=")


def test_api_opens_no_session(app: Flask) -> None:
    for path, has_session in (("/v1/messages", False), ("/ops/", True)):
        with app.test_request_context(path):
            assert app.session_interface.is_null_session(session) is not has_session


@pytest.mark.parametrize("form", FORMS)
def test_form_without_a_session_redirects_to_the_login(stranger: Operator, form: str) -> None:
    answer = stranger.post(form)
    assert (answer.status_code, answer.location[:10]) == (303, "/ops/login")


@pytest.mark.parametrize("form", ["/login", *FORMS])
@pytest.mark.parametrize("token", ["", "forged"])
def test_form_without_its_csrf_token_is_refused(operator: Operator, form: str, token: str) -> None:
    assert operator.post(form, token=token).status_code == 400


def test_csrf_token_of_another_session_is_refused(
    app: Flask, operator: Operator, stranger: Operator
) -> None:
    assert operator.post("/logout", token=stranger.token()).status_code == 400


def test_every_post_route_is_tested(app: Flask) -> None:
    posts = {
        re.sub(r"<uuid:\w+>", ID, rule.rule.removeprefix("/ops")).replace("<int:hold_id>", "7")
        for rule in app.url_map.iter_rules()
        if rule.endpoint.startswith("ops.") and "POST" in (rule.methods or ())
    }
    assert posts == {"/login", *FORMS}


def test_valid_key_begins_a_session(stranger: Operator, operator_key: str) -> None:
    answer = stranger.log_in(operator_key)
    assert (answer.status_code, answer.location) == (303, "/ops/")
    assert stranger.get("/").status_code == 200


def test_cookie_is_secure_http_only_and_limited_to_ops(
    stranger: Operator, operator_key: str
) -> None:
    [cookie] = stranger.log_in(operator_key).headers.getlist("Set-Cookie")
    attributes = {attribute.strip() for attribute in cookie.split(";")}
    assert {"HttpOnly", "Secure", "Path=/ops", "SameSite=Lax"} <= attributes


def test_cookie_is_not_secure_without_https(database_url: str, redis_url: str) -> None:
    settings = make_settings(
        database_url,
        redis_url,
        PUBLIC_BASE_URL="http://127.0.0.1:8000",
        TWILIO_API_BASE_URL="http://127.0.0.1:1",
    )
    app = create_app(settings, providers={"twilio": FakeProvider()})
    assert app.config["SESSION_COOKIE_SECURE"] is False


@pytest.mark.parametrize("key", ["", "wbop_unknown", "x" * 5000])
def test_unknown_key_is_refused(stranger: Operator, key: str) -> None:
    answer = stranger.log_in(key)
    assert answer.status_code == 401
    assert "Unknown or revoked key" in answer.text
    assert stranger.get("/").status_code == 303


def test_api_key_is_refused_by_the_login(app: Flask, stranger: Operator) -> None:
    assert stranger.log_in(make_key(app, "billing")).status_code == 401


def test_operator_key_is_refused_by_the_api(app: Flask, operator_key: str) -> None:
    headers = {"Authorization": f"Bearer {operator_key}"}
    assert app.test_client().get("/v1/messages", headers=headers).status_code == 401


def test_logout_ends_the_session(operator: Operator) -> None:
    assert operator.post("/logout").status_code == 303
    assert operator.get("/").status_code == 303


def test_revoked_key_ends_the_session_immediately(app: Flask, operator: Operator) -> None:
    with app.app_context():
        number = db.session.scalars(db.select(OperatorKey.id)).one()
    run = app.test_cli_runner().invoke
    assert run(args=["operators", "revoke", str(number)]).exit_code == 0
    assert operator.get("/").status_code == 303
    assert run(args=["operators", "revoke", str(number)]).exit_code == 1


def test_login_redirects_to_the_requested_page(stranger: Operator, operator_key: str) -> None:
    assert stranger.log_in(operator_key, next="/ops/doubts").location == "/ops/doubts"


@pytest.mark.parametrize(
    "target",
    [
        *("https://evil.example/ops/", "//evil.example/ops/", "/\\evil.example", "/ops/\\evil"),
        *("/v1/messages", "javascript:alert(1)", "/ops/\r\nSet-Cookie: a=b"),
    ],
)
def test_login_redirects_to_no_other_site(
    stranger: Operator, operator_key: str, target: str
) -> None:
    assert stranger.log_in(operator_key, next=target).location == "/ops/"


def test_key_is_stored_as_digest_and_listed_by_prefix(context: Flask) -> None:
    key = make_operator_key(context, "ada")
    [stored] = db.session.execute(db.select(OperatorKey.__table__)).mappings()
    assert stored["digest"] == digest_of(key)
    assert key not in str(dict(stored))
    listed = context.test_cli_runner().invoke(args=["operators", "list"]).output
    assert key[:9] in listed
    assert key[:14] not in listed


def test_api_and_callbacks_need_no_csrf_token(web: FlaskClient) -> None:
    hello = {"to": "+14155552671", "body": "Hello"}
    assert web.post("/v1/messages", json=hello).status_code == 202
    signed = {"X-Fake-Signature": fake_signature("/callbacks/twilio", b"a=b")}
    assert web.post("/callbacks/twilio", data={"a": "b"}, headers=signed).status_code == 204


def test_pages_have_a_strict_security_policy(operator: Operator) -> None:
    for page in PAGES:
        policy = operator.get(page).headers["Content-Security-Policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert "http" not in policy
        assert operator.get(page).headers["Cache-Control"] == "no-store"


def test_pages_have_no_inline_script_or_style(operator: Operator) -> None:
    for page in PAGES:
        text = operator.get(page).text
        assert "<style" not in text
        assert " style=" not in text
        assert " on" + "click" not in text
        assert text.count("<script") == text.count('<script src="/ops/static/ops.js" defer>')


def test_sessions_are_signed_with_ops_secret(database_url: str, redis_url: str) -> None:
    settings = make_settings(database_url, redis_url, OPS_SECRET="s" * 32)
    assert create_app(settings, providers={}).secret_key == b"s" * 32


def test_oversized_form_is_refused(stranger: Operator) -> None:
    form = {"key": "x" * 70_000}
    assert stranger.client.post("/ops/login", data=form, base_url=BASE).status_code == 413
