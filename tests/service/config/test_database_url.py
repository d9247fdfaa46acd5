"""Database URLs: as operators write them, and as SQLAlchemy reads them."""

import pytest
from sqlalchemy import make_url

from service.config.database_url import primary_url, replica_url


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://waybill:p%40ss@db-a:5432,db-b:6432/waybill?sslmode=require",
        "postgres://waybill:p%40ss@/waybill?host=db-a:5432&host=db-b:6432&sslmode=require",
    ],
    ids=["as libpq", "as SQLAlchemy"],
)
def test_of_several_hosts_the_writable_one_is_used(url: str) -> None:
    made = make_url(primary_url(url))
    assert (made.drivername, made.username, made.password) == (
        *("postgresql+psycopg", "waybill", "p@ss"),
    )
    assert (made.host, made.database) == (None, "waybill")
    assert made.query == {
        "host": ("db-a:5432", "db-b:6432"),
        "sslmode": "require",
        "target_session_attrs": "read-write",
    }


def test_hosts_without_port_use_the_default_port() -> None:
    made = make_url(primary_url("postgresql://waybill@db-a,db-b/waybill"))
    assert made.query["host"] == ("db-a:5432", "db-b:5432")


def test_url_can_choose_other_sessions() -> None:
    made = make_url(primary_url("postgresql://a,b/waybill?target_session_attrs=primary"))
    assert made.query["target_session_attrs"] == "primary"


def test_replica_may_be_read_only() -> None:
    made = make_url(replica_url("postgresql://a,b/waybill"))
    assert "target_session_attrs" not in made.query


@pytest.mark.parametrize(
    ("url", "rest"),
    [
        ("postgresql://waybill:a/b@db/waybill", "waybill:a/b@db/waybill"),
        ("postgres://waybill@[::1]:5432/waybill", "waybill@[::1]:5432/waybill"),
        ("postgresql+psycopg:///waybill?host=/run/a,b", "/waybill?host=/run/a,b"),
    ],
)
def test_url_with_one_host_is_kept(url: str, rest: str) -> None:
    assert primary_url(url) == f"postgresql+psycopg://{rest}"
