"""Rotation of a signing secret: a receiver verifies with the old or the new one meanwhile."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from flask.testing import FlaskClient
from standardwebhooks import Webhook, WebhookVerificationError

from service.database import db
from service.models import WebhookEndpoint
from service.webhooks import deliver
from service.webhooks.secrets import signing_secrets
from tests.service.webhooks.receiver import Receiver

Subscribe = Callable[..., dict[str, Any]]


@pytest.fixture
def created(subscribe: Subscribe) -> dict[str, Any]:
    return subscribe()


@pytest.fixture
def rotate(web: FlaskClient, created: dict[str, Any]) -> Callable[..., Any]:
    def post(**body: Any) -> Any:
        return web.post(f"/v1/webhook-endpoints/{created['id']}/rotate-secret", json=body)

    return post


def verifies(secret: str, request: Any) -> bool:
    try:
        Webhook(secret).verify(request.body, request.headers)
    except WebhookVerificationError:
        return False
    return True


def secrets_at(moment: datetime) -> list[str]:
    return signing_secrets(db.session.scalars(db.select(WebhookEndpoint)).one(), moment)


def test_old_and_new_secret_sign_during_the_overlap(
    web: FlaskClient, created: dict[str, Any], rotate: Callable[..., Any], endpoint: Receiver
) -> None:
    answer = rotate(overlap_seconds=60)
    rotated, old = answer.json, created["secret"]
    new = rotated.pop("secret")
    assert answer.status_code == 200
    assert new != old
    assert rotated == web.get(f"/v1/webhook-endpoints/{created['id']}").json

    web.post(f"/v1/webhook-endpoints/{created['id']}/test")
    deliver.deliver()
    [request] = endpoint.received
    assert (verifies(new, request), verifies(old, request)) == (True, True)
    now = datetime.now(UTC)
    assert secrets_at(now) == [new, old]
    assert secrets_at(now + timedelta(seconds=61)) == [new]


def test_overlap_is_a_day_by_default(
    web: FlaskClient, created: dict[str, Any], rotate: Callable[..., Any]
) -> None:
    answer = web.post(f"/v1/webhook-endpoints/{created['id']}/rotate-secret")
    day = datetime.now(UTC) + timedelta(days=1)
    assert len(secrets_at(day - timedelta(minutes=5))) == 2
    assert secrets_at(day + timedelta(minutes=5)) == [answer.json["secret"]]


def test_zero_overlap_ends_all_earlier_secrets(
    created: dict[str, Any], rotate: Callable[..., Any]
) -> None:
    rotate()
    last = rotate(overlap_seconds=0).json["secret"]
    assert secrets_at(datetime.now(UTC)) == [last]


def test_earlier_secret_does_not_sign_longer_after_another_rotation(
    created: dict[str, Any], rotate: Callable[..., Any]
) -> None:
    rotate(overlap_seconds=60)
    rotate(overlap_seconds=604_800)
    assert created["secret"] not in secrets_at(datetime.now(UTC) + timedelta(seconds=61))


def test_eleventh_secret_is_refused(rotate: Callable[..., Any], created: dict[str, Any]) -> None:
    assert [rotate().status_code for _ in range(9)] == [200] * 9
    before = secrets_at(datetime.now(UTC))
    assert len(before) == 10
    assert rotate().status_code == 409
    assert secrets_at(datetime.now(UTC)) == before
    assert rotate(overlap_seconds=0).status_code == 200


@pytest.mark.parametrize("value", [-1, 604_801, "60", True, None, 1.5])
def test_invalid_overlap_is_refused(
    created: dict[str, Any], rotate: Callable[..., Any], value: Any
) -> None:
    answer = rotate(overlap_seconds=value)
    assert answer.status_code == 422
    assert [error["field"] for error in answer.json["errors"]] == ["overlap_seconds"]
    assert secrets_at(datetime.now(UTC)) == [created["secret"]]
