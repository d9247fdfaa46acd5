"""Database URLs: PostgreSQL on one or several hosts, or SQLite."""

import re
from typing import Final
from urllib.parse import parse_qs

_SCHEMES: Final = ("postgresql", "postgres", "postgresql+psycopg")
# user:password@db-a:5432,db-b:5432/name?options
_SEVERAL: Final = re.compile(r"([^@/?]*@)?([^@/?]*,[^@/?]*)(/[^?]*)?(?:\?(.*))?")
_HOST: Final = re.compile(r"([A-Za-z0-9._-]+)(?::(\d{1,5}))?")


def primary_url(url: str) -> str:
    """Return the URL of the database for SQLAlchemy. Raises ValueError.

    Of several hosts, connections use the one that accepts writes, unless the URL says otherwise.
    """
    if url.startswith("sqlite:///"):
        return url
    address = _postgresql(url, "must start with postgresql:// or sqlite:///")
    options = parse_qs(address.partition("?")[2])
    if len(options.get("host", ())) > 1 and "target_session_attrs" not in options:
        address += "&target_session_attrs=read-write"
    return address


def replica_url(url: str) -> str:
    """Return the URL of a replica for SQLAlchemy. Raises ValueError."""
    return _postgresql(url, "must start with postgresql://")


def _postgresql(url: str, requirement: str) -> str:
    """Return a URL whose hosts, if there are several, are options, as SQLAlchemy expects them.

    libpq and others write `postgresql://user@db-a:5432,db-b:5432/name`, SQLAlchemy
    `postgresql://user@/name?host=db-a:5432&host=db-b:5432`.
    https://docs.sqlalchemy.org/en/21/dialects/postgresql.html#specifying-multiple-fallback-hosts
    """
    scheme, _, address = url.partition("://")
    if scheme not in _SCHEMES or address == "":
        raise ValueError(requirement)
    if several := _SEVERAL.fullmatch(address):
        credentials, hosts, name, options = several.groups(default="")
        matches = [_HOST.fullmatch(host) for host in hosts.split(",")]
        if not all(matches):
            raise ValueError("must list its hosts as db-a:5432,db-b:5432")
        pairs = [f"host={host[1]}:{host[2] or 5432}" for host in matches if host]
        address = f"{credentials}{name or '/'}?{'&'.join([*pairs, *filter(None, [options])])}"
    return f"postgresql+psycopg://{address}"
