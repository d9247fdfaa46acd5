"""A server in Redis's place: it gives every command the same answer."""

import socketserver
import time
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Thread


@contextmanager
def answering(answer: str, seconds: float = 0.0) -> Iterator[tuple[int, list[object]]]:
    """Answer SET with `answer`, anything else with OK; yield the port, and who connected."""
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

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield server.server_address[1], accepted
        server.shutdown()
