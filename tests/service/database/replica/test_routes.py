"""Which requests read the replica, and which the primary."""

from uuid import UUID

import pytest
from flask import Flask
from flask.testing import FlaskClient

from service.operations.metric_readings import Readings
from tests.cluster.postgres import PostgresStand
from tests.counted import settled
from tests.service.database.replica.conftest import Statements, replay_paused
from tests.service.web.ops.conftest import Operator

UNKNOWN = UUID(int=1)
ON_REPLICA = [
    *("/v1/messages?to=%2B14155552671", "/v1/inbound", "/v1/opt-outs"),
    f"/v1/webhook-endpoints/{UNKNOWN}/deliveries",
]
PAGES_ON_REPLICA = [
    *("/live", "/messages", "/messages?q=%2B14155552671", "/messages/{message_id}"),
    *("/messages/{message_id}/live", "/doubts", "/dead-letters", "/holds", "/opt-outs"),
    *("/webhooks", f"/webhooks/{UNKNOWN}", "/inbound", f"/inbound/{UNKNOWN}"),
    *("/conversation?number=%2B14155552671", "/conversation/live?number=%2B14155552671"),
]
ON_PRIMARY = ["/v1/messages/{message_id}", "/v1/messages/{message_id}/events", "/v1/events"]
# Who sends the request is looked up on the primary: a key may have been revoked a moment ago.
AUTHENTICATION = ("JOIN api_key", "FROM operator_session")


@pytest.fixture
def message_id(web: FlaskClient) -> str:
    answer = web.post("/v1/messages", json={"to": "+14155552671", "body": "Hello"})
    assert answer.status_code == 202
    return str(answer.json["id"])


def rows_read(statements: list[str]) -> list[str]:
    """Return the statements that read tables, except those that authenticate."""
    reads = [each for each in statements if "FROM " in each and "clock_timestamp" not in each]
    return [each for each in reads if not any(table in each for table in AUTHENTICATION)]


@pytest.mark.parametrize("path", ON_REPLICA)
def test_lists_read_the_replica(web: FlaskClient, statements: Statements, path: str) -> None:
    assert web.get(path).status_code < 500
    assert rows_read(statements.replica)
    assert rows_read(statements.primary) == []


@pytest.mark.parametrize("path", PAGES_ON_REPLICA)
def test_operator_pages_read_the_replica(
    operator: Operator, message_id: str, statements: Statements, path: str
) -> None:
    statements.primary.clear()
    assert operator.get(path.format(message_id=message_id)).status_code < 500
    assert rows_read(statements.replica)
    assert rows_read(statements.primary) == []


@pytest.mark.parametrize("path", ON_PRIMARY)
def test_single_messages_and_events_read_the_primary(
    web: FlaskClient, message_id: str, statements: Statements, path: str
) -> None:
    assert web.get(path.format(message_id=message_id)).status_code == 200
    assert statements.replica == []


def test_list_has_the_message_just_posted(
    web: FlaskClient, stand: PostgresStand, message_id: str
) -> None:
    with replay_paused(stand):
        later = web.post("/v1/messages", json={"to": "+14155552671", "body": "Hello"}).json["id"]
        listed = {each["id"] for each in web.get("/v1/messages").json["messages"]}
    assert listed == {message_id, later}


def test_metrics_read_the_replica_and_show_its_lag(
    app: Flask, stand: PostgresStand, statements: Statements, message_id: str
) -> None:
    stand.await_replay()
    statements.primary.clear()
    gauges = read_gauges(app)
    assert gauges["waybill_messages_due", ""] == 1
    assert gauges["waybill_replica_lag_seconds", ""] == 0
    assert gauges["waybill_store_up", "replica"] == 1
    assert rows_read(statements.primary) == []


def test_metrics_show_that_the_replica_is_down(
    app: Flask, stand: PostgresStand, message_id: str
) -> None:
    stand.standby.kill()
    try:
        gauges = read_gauges(app)
    finally:
        stand.standby.start()
    assert gauges["waybill_store_up", "replica"] == 0
    assert gauges["waybill_store_up", "database"] == 1
    assert gauges["waybill_messages_due", ""] == 1
    assert ("waybill_replica_lag_seconds", "") not in gauges


def read_gauges(app: Flask) -> dict[tuple[str, str], float]:
    readings = Readings(app.extensions["waybill"])
    for store in readings._stores.values():
        store.start()
    return {
        (sample.name, "".join(sample.labels.values())): sample.value
        for family in settled(readings).collect()
        for sample in family.samples
    }


def test_overview_shows_the_state_of_the_replica(operator: Operator, stand: PostgresStand) -> None:
    assert "up to date" in operator.get("/live").text
    stand.standby.kill()
    try:
        page = Operator(operator.client.application)  # with an empty cache of the overview
        page.client = operator.client
        assert "The replica of the database does not answer" in page.get("/live").text
    finally:
        stand.standby.start()
