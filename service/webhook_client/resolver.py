"""Resolves the host names of webhook endpoints, within a time limit, and checks the addresses."""

from collections.abc import Sequence
from concurrent.futures import Future
from socket import SOCK_STREAM, getaddrinfo
from threading import Lock, Thread
from typing import Final

from service.config.webhooks import NetworkRule
from service.webhook_client.destination import check_address

# Seconds.
TIMEOUT: Final = 5.0
# Look-ups of one process that may run, and addresses of a name that are tried.
_MOST_LOOK_UPS: Final = 1_000
_MOST_ADDRESSES: Final = 8


class NotResolved(OSError):
    """The host name has no address, or the look-up took too long."""


_under_way: Final = dict[tuple[str, int], Future[list[str]]]()
_lock: Final = Lock()


def resolve(
    host: str, port: int, rules: Sequence[NetworkRule], timeout: float = TIMEOUT
) -> list[str]:
    """Return the addresses of a host, all of them allowed.

    Raises Forbidden if one is not, or NotResolved.
    """
    addresses = _look_up(host, port, timeout)
    for address in addresses:
        check_address(address, rules)
    return addresses[:_MOST_ADDRESSES]


def _look_up(host: str, port: int, timeout: float) -> list[str]:
    """Look up a host in a thread: getaddrinfo() has no time-out and can take 40 s.

    Calls that want the same host share one look-up, so a name server that hangs holds one thread.
    """
    key = host, port
    with _lock:
        future = _under_way.get(key)
        if future is None:
            if len(_under_way) >= _MOST_LOOK_UPS:
                raise NotResolved
            future = _under_way[key] = Future()
            # A daemon: a process that ends does not wait for it.
            Thread(target=_run, args=(key, future), daemon=True, name="webhook-dns").start()
    try:
        return future.result(timeout)
    except Exception as error:
        raise NotResolved from error


def _run(key: tuple[str, int], future: Future[list[str]]) -> None:
    result: list[str] | Exception
    try:
        entries = getaddrinfo(*key, type=SOCK_STREAM)
        result = list(dict.fromkeys(str(entry[4][0]) for entry in entries))
    except Exception as error:
        result = error
    # Before callers get the result: a later call must look up again.
    with _lock:
        del _under_way[key]
    if isinstance(result, Exception):
        future.set_exception(result)
    else:
        future.set_result(result)
