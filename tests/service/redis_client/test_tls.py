"""Both clients reach a Redis with TLS and an ACL user, and refuse an untrusted certificate."""

import ssl
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import pytest
import trustme
from redis import Redis
from redis.exceptions import ConnectionError as RedisConnectionError

from demo.servers import RedisServer, redis_server
from service.app import create_app
from service.components import Components
from service.errors import InboxUnavailable
from service.task_queue import queue
from tests.conftest import make_settings
from tests.redis_stand import tls_before
from tests.service.coordination.test_circuit_breaker import CALLBACK

USER, PASSWORD = "way@bill", "s#cr/t:?%"
ACCOUNT = f"{quote(USER, safe='')}:{quote(PASSWORD, safe='')}"


@dataclass
class Secured:
    """A Redis that requires a user, and TLS ports in front of it."""

    clear: RedisServer
    port: int
    other_name: int
    authority: Path
    stranger: Path

    def components(self, url: str) -> Components:
        bound: Components = create_app(
            make_settings("sqlite:///unused.db", url), providers={}
        ).extensions["waybill"]
        return bound

    def stored(self) -> tuple[int, int]:
        """Return how many callbacks and tasks arrived."""
        with Redis.from_url(self.clear.url, username=USER, password=PASSWORD) as redis:
            return redis.xlen("waybill:inbox"), redis.llen(queue.STATUS)


@pytest.fixture
def secured(tmp_path: Path) -> Iterator[Secured]:
    authority, stranger = trustme.CA(), trustme.CA()
    for name, issuer in {"ca": authority, "stranger": stranger}.items():
        issuer.cert_pem.write_to_path(tmp_path / f"{name}.pem")
    with redis_server(tmp_path / "redis") as server:
        with Redis.from_url(server.url) as redis:
            redis.acl_setuser(
                USER, enabled=True, passwords=[f"+{PASSWORD}"], keys=["*"], channels=["*"],
                commands=["+@all"],
            )  # fmt: skip
            redis.acl_setuser("default", enabled=False)
        inner = int(server.url.rpartition(":")[2].partition("/")[0])
        with (
            tls_before(inner, _context(authority, "127.0.0.1")) as port,
            tls_before(inner, _context(authority, "other.example")) as other_name,
        ):
            yield Secured(server, port, other_name, tmp_path / "ca.pem", tmp_path / "stranger.pem")
        with Redis.from_url(server.url, username=USER, password=PASSWORD) as redis:
            redis.acl_setuser("default", enabled=True, nopass=True, commands=["+@all"])


def _context(authority: trustme.CA, name: str) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(name).configure_cert(context)
    return context


def test_both_clients_work_with_a_trusted_certificate(secured: Secured) -> None:
    url = f"rediss://{ACCOUNT}@127.0.0.1:{secured.port}/0?ssl_ca_certs={secured.authority}"
    bound = secured.components(url)
    bound.inbox.put(CALLBACK)

    assert bound.queue.enqueue(queue.CONSUME_INBOX)
    assert secured.stored() == (1, 1)
    assert bound.inbox.lag() == 1


@pytest.mark.parametrize("options", ["", "?ssl_ca_certs={stranger}"])
def test_both_clients_refuse_an_untrusted_certificate(secured: Secured, options: str) -> None:
    query = options.format(stranger=secured.stranger)
    refused_by_both(secured, f"rediss://{ACCOUNT}@127.0.0.1:{secured.port}/0{query}")


def test_both_clients_refuse_a_certificate_of_another_host(secured: Secured) -> None:
    query = f"ssl_ca_certs={secured.authority}"
    refused_by_both(secured, f"rediss://{ACCOUNT}@127.0.0.1:{secured.other_name}/0?{query}")


def refused_by_both(secured: Secured, url: str) -> None:
    bound = secured.components(url)
    assert not bound.queue.enqueue(queue.CONSUME_INBOX)
    with pytest.raises(InboxUnavailable):
        bound.inbox.put(CALLBACK)
    with pytest.raises(RedisConnectionError, match="certificate"):
        bound.inbox.lag()

    assert secured.stored() == (0, 0)


@pytest.mark.parametrize("query", ["ssl_cert_reqs=none", "ssl_check_hostname=false"])
def test_url_options_turn_off_verification_of_certificates(secured: Secured, query: str) -> None:
    url = f"rediss://{ACCOUNT}@127.0.0.1:{secured.other_name}/0"
    bound = secured.components(f"{url}?{query}&ssl_ca_certs={secured.authority}")
    bound.inbox.put(CALLBACK)

    assert bound.queue.enqueue(queue.CONSUME_INBOX)
    assert secured.stored() == (1, 1)


def test_both_clients_log_in_over_a_unix_socket(secured: Secured) -> None:
    path = secured.clear.local_url.removeprefix("unix://")
    bound = secured.components(f"unix://{ACCOUNT}@{path}")
    bound.inbox.put(CALLBACK)

    assert bound.queue.enqueue(queue.CONSUME_INBOX)
    assert secured.stored() == (1, 1)
