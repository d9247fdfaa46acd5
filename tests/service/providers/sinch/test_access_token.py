"""A project of Sinch is called with an access token, which threads share."""

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime
from uuid import uuid4

import pytest

from demo.servers import free_port
from service.domain.scope import Scope
from service.errors import Blocked, NotAccepted, ProviderError
from service.providers.base import LookUpQuery, Outbound
from service.providers.sinch import Sinch
from service.providers.sinch.account import Account
from simulator.accounts import Account as SimulatedAccount
from simulator.config import Config
from simulator.running import Running, running
from tests.conftest import make_settings
from tests.stand import Stand

PLAIN = Outbound(uuid4(), 1, "+14155552671", "+447700900001", None, "Hello", *[None] * 5)
LOOK_UP = LookUpQuery(
    PLAIN.attempt_id,
    *(PLAIN.to, PLAIN.sender, None, PLAIN.body),
    *(datetime.now(UTC), datetime.now(UTC)),
)
PROJECT = SimulatedAccount("sinch", "project-1", "", "callbacks", {"key-1": "key-secret"})


def sinch(url: str | None, **changes: str) -> Account:
    settings = {
        "SINCH_PROJECT_ID": "project-1",
        "SINCH_KEY_ID": "key-1",
        "SINCH_KEY_SECRET": "key-secret",
        "SINCH_CALLBACK_SECRETS": "callbacks",
        "SINCH_API_BASE_URL": url or "",
        "SINCH_READ_TIMEOUT": "0.5",
        **changes,
    }
    made = Sinch(make_settings("sqlite:///unused.db", "redis://unused", **settings))
    return made.accounts["default"]


def failure(call: Callable[[], object]) -> ProviderError:
    with pytest.raises(ProviderError) as caught:
        call()
    return caught.value


def simulated(lifetime: float = 3600) -> Config:
    return Config(accounts=(PROJECT,), sinch_token_lifetime=lifetime, faults={"drop": 1.0})


def tokens(simulator: Running) -> int:
    return int(simulator.account("project-1")["tokens"])


def test_threads_request_one_token() -> None:
    with running(simulated()) as simulator, ThreadPoolExecutor(8) as threads:
        account = sinch(simulator.url, SINCH_READ_TIMEOUT="10")
        sends = [replace(PLAIN, attempt_id=uuid4()) for _ in range(32)]
        assert len({report.provider_sid for report in threads.map(account.send, sends)}) == 32
        assert tokens(simulator) == 1


def test_token_is_renewed_before_its_end() -> None:
    with running(simulated(lifetime=2)) as simulator:
        account = sinch(simulator.url)
        account.send(PLAIN)
        time.sleep(1.05)  # the second half of its life begins
        account.send(PLAIN)
        assert tokens(simulator) == 2
        assert simulator.account("project-1")["unauthorized"] == 0


def test_refused_token_is_renewed_once() -> None:
    # `expires_in` is 0, which says nothing.
    with running(simulated(lifetime=0.3)) as simulator:
        account = sinch(simulator.url)
        account.send(PLAIN)
        time.sleep(0.35)
        account.send(replace(PLAIN, attempt_id=uuid4()))
        assert tokens(simulator) == 2
        assert len(simulator.records()["messages"]) == 2


def test_new_token_that_is_refused_blocks_the_account() -> None:
    # `expires_in` is 0, and so is the lifetime.
    with running(simulated(lifetime=0.0)) as simulator:
        error = failure(lambda: sinch(simulator.url).send(PLAIN))
        assert isinstance(error, Blocked)
        assert tokens(simulator) == 1
        assert simulator.records()["messages"] == []


def test_wrong_key_blocks_the_account() -> None:
    with running(simulated()) as simulator:
        account = sinch(simulator.url, SINCH_KEY_SECRET="wrong")
        error = failure(lambda: account.send(PLAIN))
        assert isinstance(error, Blocked)
        assert (error.scope, error.code) == (Scope.ACCOUNT, "http_401")
        assert type(failure(lambda: account.find(LOOK_UP))) is NotAccepted
        assert simulator.records()["messages"] == []


@pytest.mark.parametrize(
    ("status", "body"),
    [(503, b""), (429, b"{}"), (200, b"no JSON"), (200, {"access_token": "a b"}), (302, b"")],
)
def test_send_without_a_token_was_not_accepted(stand: Stand, status: int, body: object) -> None:
    stand.answer(status, body)
    stand.headers["Retry-After"] = "7"
    error = failure(lambda: sinch(stand.url).send(PLAIN))
    assert isinstance(error, NotAccepted)
    assert error.retry_after == 7
    assert stand.paths == ["/oauth2/token"]


def test_silent_token_server_leaves_nothing_in_doubt(stand: Stand) -> None:
    """Threads that wait for a token share the end of one request."""
    stand.habit = "says nothing"
    account, began = sinch(stand.url), time.monotonic()
    with ThreadPoolExecutor(8) as threads:
        errors = list(threads.map(lambda _: failure(lambda: account.send(PLAIN)), range(8)))
    assert {type(error) for error in errors} == {NotAccepted}
    assert time.monotonic() - began < 2
    assert len(stand.paths) < 3


def test_unreachable_token_server_is_not_accepted() -> None:
    error = failure(lambda: sinch(f"http://127.0.0.1:{free_port()}").send(PLAIN))
    assert type(error) is NotAccepted


@pytest.mark.parametrize("region", ["us", "eu"])
def test_projects_have_their_own_hosts(region: str) -> None:
    batches = sinch(None, SINCH_REGION=region)._batches
    assert batches._url == f"https://zt.{region}.sms.api.sinch.com/xms/v1/project-1/batches"
    assert batches._access_token._url == "https://auth.sinch.com/oauth2/token"
