"""A slow network between a master and its replicas, which is cut together with the master."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Final

from tests.cluster.servers import ValkeyServer, until
from tests.proxy import Proxy, proxy_to

#: Seconds that each chunk travels from the master to a replica.
DELAY: Final = 0.002
_TIMEOUT: Final = 20.0


@contextmanager
def slow_links(
    master: ValkeyServer, replicas: Sequence[ValkeyServer]
) -> Iterator[Callable[[], None]]:
    """Put a slow link before each replica; yield a function that drops all that is under way.

    Sentinel gives replicas the true address of their master again, some seconds after it sees the
    other one. So cut within two seconds.
    """
    with ExitStack() as resources:
        links = [_link(resources, master) for _ in replicas]
        # One after the other: WAIT of the inbox must find a replica all the time.
        for replica, link in zip(replicas, links, strict=True):
            replica.command("REPLICAOF", "127.0.0.1", link.port)
            until(lambda r=replica: r.replication()["master_link_status"] == "up", _TIMEOUT)  # type: ignore[misc]

        def cut() -> None:
            for link in links:
                link.swallow()

        yield cut


def _link(resources: ExitStack, master: ValkeyServer) -> Proxy:
    link = resources.enter_context(proxy_to(("127.0.0.1", master.port)))
    link.answer_delay = lambda: DELAY
    return link
