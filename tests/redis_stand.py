"""Small stands: one gives every command the same answer, one adds TLS, one is a cluster."""

import socket
import socketserver
import ssl
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from select import select
from threading import Thread

from tests.cluster.redis_cluster import SLOTS, ClusterServer
from tests.cluster.servers import until


@contextmanager
def answering(
    answer: str, seconds: float = 0.0, port: int = 0
) -> Iterator[tuple[int, list[object]]]:
    """Answer SET with `answer` and other commands with OK; yield the port and the clients."""
    accepted = list[object]()
    line = answer if answer.startswith("+") else f"-{answer}"

    class Handler(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            accepted.append(self.client_address)
            while command := self.rfile.readline():
                parts = [command.strip()]
                if command.startswith(b"*"):
                    parts = [self._part() for _ in range(int(command[1:]))]
                time.sleep(seconds)
                self.wfile.write(b"%s\r\n" % (line.encode() if parts[0] == b"SET" else b"+OK"))

        def _part(self) -> bytes:
            length = int(self.rfile.readline()[1:])
            return self.rfile.read(length + 2)[:-2]

    with socketserver.ThreadingTCPServer(("127.0.0.1", port), Handler) as server:
        server.daemon_threads = True
        Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield server.server_address[1], accepted
        server.shutdown()


@contextmanager
def tls_before(port: int, certificate: ssl.SSLContext) -> Iterator[int]:
    """Run a TLS proxy for a port without TLS; yield its own port."""

    class Handler(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            with (
                suppress(OSError),
                socket.create_connection(("127.0.0.1", port)) as inner,
                certificate.wrap_socket(self.request, server_side=True) as outer,
            ):
                _copy(outer, inner)

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield server.server_address[1]
        server.shutdown()


def _copy(outer: ssl.SSLSocket, inner: socket.socket) -> None:
    """Copy data both ways until one side ends, in one thread as TLS sockets require."""
    while True:
        ready = [outer] if outer.pending() else select([outer, inner], [], [])[0]
        for source in ready:
            if not (data := source.recv(65536)):
                return
            (inner if source is outer else outer).sendall(data)


@contextmanager
def cluster_of_one(directory: Path, slots: int = SLOTS) -> Iterator[ClusterServer]:
    """Run a cluster of one node, which refuses what each cluster refuses; it has these slots."""
    server = ClusterServer(directory / "node")
    try:
        server.start()
        server.command("CLUSTER", "ADDSLOTSRANGE", 0, slots - 1)
        until(lambda: server.state()["cluster_state"] == "ok" or slots < SLOTS, 20)
        yield server
    finally:
        server.kill()
