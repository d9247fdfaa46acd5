"""Nobody sees anything without a live key, and no other site can press a button."""

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

PAGES = ("/", "/live", "/messages", "/doubts", "/dead-letters", "/test")
A_MESSAGE = "/messages/01a1fd14-9522-7078-b19f-9ef257cf0b38"
FORMS = (
    *("/logout", "/test", "/dead-letters/replay"),
    *(f"{A_MESSAGE}/{deed}" for deed in ("look-up", "send-again", "give-up", "sid")),
)


@pytest.mark.parametrize("page", [*PAGES, A_MESSAGE, f"{A_MESSAGE}/live"])
def test_without_a_session_every_page_leads_to_the_log_in(stranger: Operator, page: str) -> None:
    answer = stranger.get(page)
    assert answer.status_code == 303
    assert answer.location.startswith("/ops/login?next=")


def test_the_api_looks_for_no_session(app: Flask) -> None:
    for path, found in (("/v1/messages", False), ("/ops/", True)):
        with app.test_request_context(path):
            assert app.session_interface.is_null_session(session) is not found


@pytest.mark.parametrize("form", FORMS)
def test_without_a_session_no_form_does_anything(stranger: Operator, form: str) -> None:
    answer = stranger.post(form)
    assert (answer.status_code, answer.location[:10]) == (303, "/ops/login")


@pytest.mark.parametrize("form", ["/login", *FORMS])
@pytest.mark.parametrize("token", ["", "forged"])
def test_a_form_without_its_token_does_nothing(operator: Operator, form: str, token: str) -> None:
    assert operator.post(form, token=token).status_code == 400


def test_a_token_of_another_session_does_nothing(
    app: Flask, operator: Operator, stranger: Operator
) -> None:
    assert operator.post("/logout", token=stranger.token()).status_code == 400


def test_every_form_of_the_pages_is_among_those_tested(app: Flask) -> None:
    posts = {
        rule.rule.removeprefix("/ops").replace("/<uuid:message_id>", A_MESSAGE[9:])
        for rule in app.url_map.iter_rules()
        if rule.endpoint.startswith("ops.") and "POST" in (rule.methods or ())
    }
    assert posts == {"/login", *FORMS}


def test_a_live_key_opens_a_session(stranger: Operator, operator_key: str) -> None:
    answer = stranger.log_in(operator_key)
    assert (answer.status_code, answer.location) == (303, "/ops/")
    assert stranger.get("/").status_code == 200


def test_the_cookie_is_for_these_pages_only_and_for_no_script(
    stranger: Operator, operator_key: str
) -> None:
    [cookie] = stranger.log_in(operator_key).headers.getlist("Set-Cookie")
    words = {word.strip() for word in cookie.split(";")}
    assert {"HttpOnly", "Secure", "Path=/ops", "SameSite=Lax"} <= words


def test_without_https_the_cookie_is_not_kept_for_https(database_url: str, redis_url: str) -> None:
    settings = make_settings(
        database_url,
        redis_url,
        PUBLIC_BASE_URL="http://127.0.0.1:8000",
        TWILIO_API_BASE_URL="http://127.0.0.1:1",
    )
    app = create_app(settings, providers={"twilio": FakeProvider()})
    assert app.config["SESSION_COOKIE_SECURE"] is False


@pytest.mark.parametrize("key", ["", "wbop_unknown", "x" * 5000])
def test_an_unknown_key_opens_nothing(stranger: Operator, key: str) -> None:
    answer = stranger.log_in(key)
    assert answer.status_code == 401
    assert "not known" in answer.text
    assert stranger.get("/").status_code == 303


def test_a_key_of_the_api_is_none_of_these_pages(app: Flask, stranger: Operator) -> None:
    assert stranger.log_in(make_key(app, "billing")).status_code == 401


def test_a_key_of_these_pages_is_none_of_the_api(app: Flask, operator_key: str) -> None:
    headers = {"Authorization": f"Bearer {operator_key}"}
    assert app.test_client().get("/v1/messages", headers=headers).status_code == 401


def test_who_logs_out_is_out(operator: Operator) -> None:
    assert operator.post("/logout").status_code == 303
    assert operator.get("/").status_code == 303


def test_who_loses_the_key_is_out_at_once(app: Flask, operator: Operator) -> None:
    with app.app_context():
        number = db.session.scalars(db.select(OperatorKey.id)).one()
    run = app.test_cli_runner().invoke
    assert run(args=["operators", "revoke", str(number)]).exit_code == 0
    assert operator.get("/").status_code == 303
    assert run(args=["operators", "revoke", str(number)]).exit_code == 1


def test_a_log_in_leads_to_where_one_wanted_to_go(stranger: Operator, operator_key: str) -> None:
    assert stranger.log_in(operator_key, next="/ops/doubts").location == "/ops/doubts"


@pytest.mark.parametrize(
    "onward",
    [
        *("https://evil.example/ops/", "//evil.example/ops/", "/\\evil.example", "/ops/\\evil"),
        *("/v1/messages", "javascript:alert(1)", "/ops/\r\nSet-Cookie: a=b"),
    ],
)
def test_a_log_in_leads_nowhere_else(stranger: Operator, operator_key: str, onward: str) -> None:
    assert stranger.log_in(operator_key, next=onward).location == "/ops/"


def test_a_key_is_stored_as_its_hash_and_listed_by_its_beginning(context: Flask) -> None:
    key = make_operator_key(context, "ada")
    [stored] = db.session.execute(db.select(OperatorKey.__table__)).mappings()
    assert stored["digest"] == digest_of(key)
    assert key not in str(dict(stored))
    listed = context.test_cli_runner().invoke(args=["operators", "list"]).output
    assert key[:9] in listed
    assert key[:14] not in listed


def test_the_api_and_the_callbacks_need_no_token(web: FlaskClient) -> None:
    hello = {"to": "+14155552671", "body": "Hello"}
    assert web.post("/v1/messages", json=hello).status_code == 202
    signed = {"X-Fake-Signature": fake_signature("/callbacks/twilio", b"a=b")}
    assert web.post("/callbacks/twilio", data={"a": "b"}, headers=signed).status_code == 204


def test_no_page_may_load_run_or_send_anything_elsewhere(operator: Operator) -> None:
    for page in PAGES:
        policy = operator.get(page).headers["Content-Security-Policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert "http" not in policy
        assert operator.get(page).headers["Cache-Control"] == "no-store"


def test_no_page_holds_a_script_or_a_style_of_its_own(operator: Operator) -> None:
    for page in PAGES:
        text = operator.get(page).text
        assert "<style" not in text
        assert " style=" not in text
        assert " on" + "click" not in text
        assert text.count("<script") == text.count('<script src="/ops/static/ops.js" defer>')


def test_sessions_are_signed_with_the_setting(database_url: str, redis_url: str) -> None:
    settings = make_settings(database_url, redis_url, OPS_SECRET="s" * 32)
    assert create_app(settings, providers={}).secret_key == b"s" * 32


def test_a_form_beyond_all_measure_is_refused(stranger: Operator) -> None:
    form = {"key": "x" * 70_000}
    assert stranger.client.post("/ops/login", data=form, base_url=BASE).status_code == 413
