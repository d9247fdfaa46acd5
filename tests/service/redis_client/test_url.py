"""Both clients get the same address; options that only one of them knows are refused."""

from pathlib import Path

import pytest

from service.config.settings import ConfigurationError
from service.redis_client.url import RedisAddress, parse_redis_url
from tests.conftest import make_settings

SECRET = "hunter2"


@pytest.mark.parametrize(
    ("url", "broker_url"),
    [
        ("redis://h", "redis://h:6379/0"),
        ("redis://h/", "redis://h:6379/0"),
        ("redis://h:1/3", "redis://h:1/3"),
        ("redis://h/?db=3", "redis://h:6379/3"),
        ("redis://h/3?db=3", "redis://h:6379/3"),
        ("redis://", "redis://127.0.0.1:6379/0"),
        ("redis://:p@h", "redis://:p@h:6379/0"),
        ("redis://u:p%40%2F%23%3A%25@h/2", "redis://u:p%40%2F%23%3A%25@h:6379/2"),
        ("redis://u%40x:p@h", "redis://u%40x:p@h:6379/0"),
        ("redis://[::1]:7/0", "redis://[::1]:7/0"),
        ("rediss://h:1/0", "rediss://h:1/0"),
        ("unix:///a/b?db=4", "redis+socket:///a/b?virtual_host=4"),
        ("unix:///a%20b/c", "redis+socket:///a%20b/c?virtual_host=0"),
    ],
)
def test_url_is_parsed_for_both_clients(url: str, broker_url: str) -> None:
    assert parse_redis_url(url).celery_settings()["broker_url"] == broker_url


@pytest.mark.parametrize(
    ("url", "nodes", "name", "db"),
    [
        ("sentinel://a,b:2/waybill", (("a", 26379), ("b", 2)), "waybill", 0),
        ("sentinels://u:p@a:1,b:2/waybill/3", (("a", 1), ("b", 2)), "waybill", 3),
        ("cluster://u:p@a:7001,[::1]:7002", (("a", 7001), ("::1", 7002)), "", 0),
        ("clusters://a", (("a", 6379),), "", 0),
    ],
)
def test_several_nodes_are_parsed(
    url: str, nodes: tuple[tuple[str, int], ...], name: str, db: int
) -> None:
    address = parse_redis_url(url)
    assert (address.nodes, address.master_name, address.db) == (nodes, name, db)
    assert (address.tls is not None) is url.startswith(("sentinels", "clusters"))
    assert (address.password == "p") is ("@" in url)


@pytest.mark.parametrize(
    ("changes", "setting"),
    [
        ({"REDIS_URL": "cluster://a:7001"}, "BROKER_URL"),
        ({"BROKER_URL": "cluster://a:7001"}, "BROKER_URL"),
        ({"INBOX_URL": "amqp://a"}, "INBOX_URL"),
        ({"REDIS_URL": "sentinel://a:26379"}, "REDIS_URL"),
        ({"REDIS_URL": "redis://a,b"}, "REDIS_URL"),
        ({"INBOX_URL": "cluster://a:7001/1"}, "INBOX_URL"),
        ({"REDIS_URL": "cluster://a:x", "BROKER_URL": "redis://b"}, "REDIS_URL"),
    ],
)
def test_unsuitable_server_is_refused(changes: dict[str, str], setting: str) -> None:
    values = {"DATABASE_URL": "sqlite:///x.db", **changes}
    with pytest.raises(ConfigurationError, match=rf"\n  {setting}: "):
        make_settings(values.pop("DATABASE_URL"), values.pop("REDIS_URL", "redis://h"), **values)


def test_special_characters_reach_both_clients() -> None:
    address = parse_redis_url("redis://u%40x:p%40%2F%23%3A%25@h/2")

    assert (address.username, address.password) == ("u@x", "p@/#:%")
    assert address.client_options() == {
        "host": "h",
        "port": 6379,
        "db": 2,
        "username": "u@x",
        "password": "p@/#:%",
    }


def test_credentials_of_a_socket_are_in_no_url() -> None:
    """Celery does not mask the password in the URL of a socket."""
    address = parse_redis_url(f"unix://user:{SECRET}@/a/b")

    assert SECRET not in address.celery_settings()["broker_url"]
    assert address.celery_settings()["broker_password"] == SECRET
    assert address.client_options()["path"] == "/a/b"


def test_certificates_are_verified_unless_the_url_disables_it(tmp_path: Path) -> None:
    (tmp_path / "ca.pem").touch()
    plain = parse_redis_url("rediss://h")
    relaxed = parse_redis_url(
        f"rediss://h?ssl_cert_reqs=none&ssl_check_hostname=false&ssl_ca_certs={tmp_path}/ca.pem"
    )

    default = {"ssl_cert_reqs": "required", "ssl_check_hostname": True}
    assert plain.celery_settings()["broker_use_ssl"] == plain.tls == default
    assert relaxed.celery_settings()["broker_use_ssl"] == relaxed.tls
    assert relaxed.tls == {
        "ssl_cert_reqs": "none",
        "ssl_check_hostname": False,
        "ssl_ca_certs": f"{tmp_path}/ca.pem",
    }


@pytest.mark.parametrize(
    ("url", "problem"),
    [
        ("http://h", "must start with"),
        ("redis://h/0?health_check_interval=30", "option health_check_interval"),
        ("redis://h/0?socket_timeout=30", "option socket_timeout"),
        ("redis://h/0?max_connections=3", "option max_connections"),
        ("redis://h/0?ssl_cert_reqs=none", "write rediss://"),
        ("unix:///a?ssl_cert_reqs=none", "write rediss://"),
        ("unix://", "path of a socket"),
        ("sentinel://a/waybill?ssl_cert_reqs=none", "write sentinels://"),
        ("cluster://a?ssl_cert_reqs=none", "write clusters://"),
        (f"redis://h?sentinel_password={SECRET}", "needs sentinel://"),
        ("rediss://h/0?ssl_cert_reqs=maybe", "ssl_cert_reqs must be"),
        ("rediss://h/0?ssl_check_hostname=maybe", "ssl_check_hostname must be"),
        ("rediss://h/0?ssl_ca_certs=/nowhere/ca.pem", "ssl_ca_certs names a file"),
        ("redis://h/?db=1&db=2", "option db twice"),
        ("redis://h/1?db=2", "another in db"),
        ("redis://h/abc", "number of a database"),
        ("redis://h/?db=-1", "number of a database"),
        (f"redis://:{SECRET}#x@h/0", "percent codes"),
        (f"redis://:{SECRET}/x@h/0", "percent codes"),
        (f"redis://:1?{SECRET}@h/0", "percent codes"),
        (f"redis://:1?db={SECRET}@h/0", "number of a database"),
        ("redis://h:port/0", "percent codes"),
        ("redis://[::1/0", "percent codes"),
    ],
)
def test_unusable_url_is_refused_at_start(url: str, problem: str) -> None:
    with pytest.raises(ConfigurationError) as raised:
        make_settings("sqlite:///x.db", url)

    assert f"REDIS_URL: {problem}" in str(raised.value) or (
        "REDIS_URL" in str(raised.value) and problem in str(raised.value)
    )
    assert SECRET not in str(raised.value)


def test_password_is_not_in_the_repr() -> None:
    assert SECRET not in repr(RedisAddress(host="h", password=SECRET))
    assert SECRET not in repr(parse_redis_url(f"sentinel://a/waybill?sentinel_password={SECRET}"))


def test_sentinels_have_an_account_of_their_own() -> None:
    address = parse_redis_url(
        f"sentinels://u:p@a/waybill?sentinel_username=s&sentinel_password={SECRET}"
    )
    default = {"ssl_cert_reqs": "required", "ssl_check_hostname": True}

    assert (address.username, address.password) == ("u", "p")
    assert address.sentinel_options() == {
        "username": "s",
        "password": SECRET,
        "ssl": True,
        **default,
    }
    assert address.tls == default
    assert parse_redis_url("sentinel://u:p@a/waybill").sentinel_options() == {}
