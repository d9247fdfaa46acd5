"""Opt-outs in the API: list, begin and end."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from service.database import db, transaction
from service.inbound.record import record
from service.models import ClientSender
from service.queries import clients
from service.sending import deliver
from tests.fakes import FakeProvider
from tests.opt_outs import PERSON, SENDER, store
from tests.service.inbound.conversation import heard

pytestmark = pytest.mark.usefixtures("context")

URL = f"/v1/opt-outs/{PERSON}"
OTHER = "+14155552672"


def status(web: FlaskClient, sender: str = SENDER, to: str = PERSON) -> str:
    """Post a message, deliver it, and return its status."""
    posted = web.post("/v1/messages", json={"to": to, "from": sender, "body": "Hello"})
    assert posted.status_code == 202, posted.json
    deliver.deliver()
    shown: dict[str, Any] = web.get(f"/v1/messages/{posted.json['id']}").json
    code = (shown["error"] or {}).get("code")
    return f"{shown['status']} {code}" if code else shown["status"]


def listed(web: FlaskClient, **query: Any) -> list[tuple[str, str, str, str]]:
    answer = web.get("/v1/opt-outs", query_string=query)
    assert answer.status_code == 200, answer.json
    rows = answer.json["opt_outs"]
    return [(row["number"], row["sender"], row["provider"], row["changed_by"]) for row in rows]


def test_put_suppresses_one_sender(web: FlaskClient, provider: FakeProvider) -> None:
    answer = web.put(URL, json={"sender": "+1 (500) 555-0006"})
    assert answer.status_code == 200
    [shown] = answer.json["opt_outs"]
    assert shown["since"].startswith("20")
    assert {**shown, "since": ""} == {
        "number": PERSON,
        "sender": SENDER,
        "provider": "twilio",
        "since": "",
        "reason": "client",
        "changed_by": "client billing",
        "error_code": None,
    }
    assert status(web) == "failed waybill_opted_out"
    assert status(web, "+15005550007") == "queued"


def test_put_without_a_sender_suppresses_every_sender(web: FlaskClient) -> None:
    assert web.put(URL).status_code == 200
    assert listed(web) == [(PERSON, "*", "*", "client billing")]
    assert status(web, "+15005550007") == "failed waybill_opted_out"
    whatsapp = status(web, "whatsapp:+15005550006", f"whatsapp:{PERSON}")
    assert whatsapp == "failed waybill_opted_out"
    assert status(web, to=OTHER) == "queued"


def test_start_ends_an_opt_out_of_one_sender_only(web: FlaskClient) -> None:
    web.put(URL, json={})
    web.put(URL, json={"sender": SENDER})
    record([heard("START")])
    assert listed(web) == [(PERSON, "*", "*", "client billing")]
    assert status(web) == "failed waybill_opted_out"


def test_put_twice_is_one_opt_out(web: FlaskClient) -> None:
    assert web.put(URL, json={}).json["opt_outs"][0]["sender"] == "*"
    assert len(web.put(URL, json={}).json["opt_outs"]) == 1


def test_delete_ends_the_opt_outs_of_a_person(web: FlaskClient) -> None:
    store()
    web.put(URL, json={})
    web.put(URL, json={"sender": "whatsapp:+15005550006"})
    assert len(listed(web, number=PERSON)) == 3
    assert web.delete(URL).status_code == 204
    assert listed(web) == []
    assert status(web) == "queued"
    assert web.delete(URL).status_code == 404


def test_delete_of_one_sender_leaves_the_others(web: FlaskClient) -> None:
    store()
    store(sender="+15005550007")
    web.put(URL, json={})
    assert web.delete(URL, query_string={"sender": SENDER}).status_code == 204
    assert web.delete(URL, query_string={"sender": "*"}).status_code == 204
    assert listed(web) == [(PERSON, "+15005550007", "twilio", "provider")]


def test_deleted_opt_out_does_not_return_with_an_older_stop(web: FlaskClient) -> None:
    """A STOP from before the client's change, which was heard late."""
    web.put(URL, json={"sender": SENDER})
    web.delete(URL, query_string={"sender": SENDER})
    record([heard("STOP", datetime.now(UTC) - timedelta(minutes=1))])
    assert listed(web) == []


def test_sender_of_a_channel_is_for_the_person_on_it(web: FlaskClient) -> None:
    web.put(URL, json={"sender": "whatsapp:+15005550006"})
    assert listed(web)[0][0] == f"whatsapp:{PERSON}"
    assert status(web, "whatsapp:+15005550006", f"whatsapp:{PERSON}").startswith("failed")
    assert status(web) == "queued"


@pytest.mark.parametrize("query", [{}, {"sender": SENDER}, {"number": PERSON}], ids=str)
def test_pages_have_every_opt_out_once(web: FlaskClient, query: dict[str, str]) -> None:
    for number in range(5):
        store(f"+1415555300{number}")
    for sender in ("ACME", "+15005550007", "72345"):
        store(sender=sender)
    seen, cursor = list[tuple[str, str]](), None
    for _ in range(5):
        page = {"limit": 2, **query, **({"cursor": cursor} if cursor else {})}
        answer = web.get("/v1/opt-outs", query_string=page).json
        seen += [(row["number"], row["sender"]) for row in answer["opt_outs"]]
        cursor = answer["next_cursor"]
        if cursor is None:
            break
    assert len(seen) == len(set(seen)) == {"sender": 5, "number": 3}.get(next(iter(query), ""), 8)


@pytest.mark.parametrize(
    ("method", "url", "body", "field"),
    [
        ("put", "/v1/opt-outs/everybody", {}, "number"),
        ("put", "/v1/opt-outs/4155552671", {}, "number"),
        ("put", URL, {"sender": "TWELVELETTER"}, "sender"),
        ("put", URL, {"sendr": SENDER}, "sendr"),
        ("delete", URL + "?sender=%2B1500555CALL", None, "sender"),
        ("get", "/v1/opt-outs?number=me", None, "number"),
        ("get", "/v1/opt-outs?cursor=nonsense", None, "cursor"),
        ("get", "/v1/opt-outs?cursor=WzEsMiwzXQ==", None, "cursor"),
    ],
)
def test_bad_input_names_its_field(
    web: FlaskClient, method: str, url: str, body: Any, field: str
) -> None:
    answer = web.open(url, method=method.upper(), json=body)
    assert answer.status_code == 422, answer.json
    assert [error["field"] for error in answer.json["errors"]] == [field]
    assert listed(web) == []


def test_number_in_national_form_is_completed(
    web: FlaskClient, configure: Callable[..., None]
) -> None:
    configure(default_region="US")
    assert web.put("/v1/opt-outs/415-555-2671", json={}).status_code == 200
    assert listed(web)[0][0] == PERSON


def test_opt_out_without_a_key_is_refused(app: Flask) -> None:
    assert app.test_client().put(URL, json={}).status_code == 401


@pytest.fixture
def of_test_key(app: Flask) -> FlaskClient:
    made = app.test_cli_runner().invoke(args=["clients", "create", "billing", "--test"])
    client = app.test_client()
    client.environ_base["HTTP_AUTHORIZATION"] = f"Bearer {made.output.strip()}"
    return client


def test_test_key_changes_nothing_for_real_messages(
    web: FlaskClient, of_test_key: FlaskClient
) -> None:
    store()
    assert of_test_key.put(URL, json={}).status_code == 200
    assert of_test_key.put(URL, json={"sender": "72345"}).status_code == 200
    assert len(listed(of_test_key)) == 2
    assert listed(web) == [(PERSON, SENDER, "twilio", "provider")]
    assert status(web, "+15005550007") == "queued"
    assert of_test_key.delete(URL).status_code == 204
    assert (listed(of_test_key), len(listed(web))) == ([], 1)


@pytest.fixture
def enforced(web: FlaskClient, configure: Callable[..., None]) -> FlaskClient:
    """The client billing owns SENDER, and ownership is enforced."""
    configure(sender_ownership="enforced")
    with transaction():
        client = clients.find("billing")
        assert client is not None
        db.session.add(
            ClientSender(sender=SENDER, client_id=client.id, created_at=datetime.now(UTC))
        )
    return web


def test_client_changes_only_opt_outs_from_its_own_senders(enforced: FlaskClient) -> None:
    store(sender="+15005550007")
    assert enforced.put(URL, json={"sender": SENDER}).status_code == 200
    assert enforced.put(URL, json={}).status_code == 200
    assert enforced.put(URL, json={"sender": "+15005550007"}).status_code == 422
    assert enforced.delete(URL, query_string={"sender": SENDER}).status_code == 204
    for query in ({}, {"sender": "*"}, {"sender": "+15005550007"}):
        refused = enforced.delete(URL, query_string=query)
        assert refused.status_code == 422
        assert [error["field"] for error in refused.json["errors"]] == ["sender"]
    assert len(listed(enforced)) == 2
