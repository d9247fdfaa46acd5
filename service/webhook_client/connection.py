"""An HTTP connection to one of several checked addresses, whose waits end at a deadline.

Time-outs of sockets start again with every byte, so a receiver that sends one byte a second could
hold a call for hours.
"""

import io
import socket
import ssl
import time
from collections.abc import Sequence
from http.client import HTTPConnection
from typing import Any, Final

from urllib3.util import wait_for_read

from service.webhook_client.url import PORTS, Target

# Seconds, for each address.
_CONNECT_TIMEOUT: Final = 5.0
# Bytes of an answer that are read, its head included.
_MOST_BYTES: Final = 65_536


class NotConnected(OSError):
    """No address of the host accepted a connection."""


class AnswerTooLong(OSError):
    """The answer has more bytes than are read."""


def seconds_left(deadline: float) -> float:
    """Return the time until a deadline of the monotonic clock. Raises TimeoutError after it."""
    left = deadline - time.monotonic()
    if left <= 0:
        raise TimeoutError
    return left


class TimedSocket:
    """The part of a socket that http.client uses; each wait ends at the deadline."""

    def __init__(self, sock: socket.socket, deadline: float) -> None:
        self.socket = sock
        self.deadline = deadline
        self._unsent = bytearray()

    def sendall(self, data: bytes) -> None:
        """Keep bytes until an answer is read.

        http.client writes the head and the body apart. Sent apart, a call took twice as long.
        """
        self._unsent += data

    def makefile(self, _mode: str) -> io.BufferedReader:
        """Send what was written; return a reader of one answer. Raises OSError."""
        rest = memoryview(bytes(self._unsent))
        self._unsent.clear()
        while rest:
            self.socket.settimeout(seconds_left(self.deadline))
            rest = rest[self.socket.send(rest) :]
        return io.BufferedReader(_Answer(self))

    def close(self) -> None:
        """Close the socket."""
        self.socket.close()

    def __del__(self) -> None:
        self.close()  # idle connections of a client that is not used any more


class _Answer(io.RawIOBase):
    """The bytes of one answer."""

    def __init__(self, source: TimedSocket) -> None:
        self._source = source
        self._left = _MOST_BYTES

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        self._source.socket.settimeout(seconds_left(self._source.deadline))
        count = self._source.socket.recv_into(buffer)
        self._left -= count
        if self._left < 0:
            raise AnswerTooLong
        return count


class Connection(HTTPConnection):
    """A connection for requests to one host. It connects only to the addresses that it was given.

    The host is in the header Host, in SNI, and is the name that the certificate must have.
    """

    def __init__(
        self, target: Target, addresses: Sequence[str], tls: ssl.SSLContext | None
    ) -> None:
        """Take the context for an https:// URL, or none."""
        super().__init__(target.host, target.port)
        self.default_port = PORTS[target.scheme]
        self.key = target.scheme, target.host, target.port
        self.idle_since = self.opened_at = time.time()
        self._addresses = addresses
        self._tls = tls

    def open(self, deadline: float) -> None:
        """Connect to the first address that accepts. Raises NotConnected, or OSError of TLS."""
        plain = self._connected(deadline)
        try:
            plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            plain.settimeout(seconds_left(deadline))
            self._use(TimedSocket(self._secured(plain), deadline))
        except Exception:
            plain.close()
            raise

    def set_deadline(self, deadline: float) -> None:
        """Set the time at which the waits of the next request end."""
        timed: Any = self.sock
        timed.deadline = deadline

    def is_stale(self) -> bool:
        """Tell whether the receiver closed the connection, or sent what nothing asked for."""
        timed: Any = self.sock
        return timed is None or wait_for_read(timed.socket, timeout=0)

    def _use(self, timed: Any) -> None:
        self.sock = timed

    def _secured(self, plain: socket.socket) -> socket.socket:
        if self._tls is None:
            return plain
        return self._tls.wrap_socket(plain, server_hostname=self.host)

    def _connected(self, deadline: float) -> socket.socket:
        reason = "no address"
        for address in self._addresses:
            timeout = min(_CONNECT_TIMEOUT, seconds_left(deadline))
            try:
                return socket.create_connection((address, self.port), timeout)
            except OSError as error:
                reason = error.strerror or str(error) or type(error).__name__
        raise NotConnected(reason)
