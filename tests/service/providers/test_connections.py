"""Whether a request was sent, and how long connections may be idle."""

import socket
import ssl
import struct
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from threading import Thread

import pytest
import trustme

from demo.servers import free_port
from service.errors import NotAccepted, OutcomeUnknown
from service.providers.http import ApiResponse, Server, call
from tests.stand import standing

Peer = Callable[[socket.socket], None]
HTML = b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 3\r\n\r\nno!"
CREATED = b"HTTP/1.1 201 Created\r\nContent-Length: 2\r\n\r\n{}"


@contextmanager
def listening(peer: Peer, tls: ssl.SSLContext | None = None) -> Iterator[int]:
    """Accept connections on a port and give each to `peer` in a new thread."""
    with ExitStack() as kept, socket.create_server(("127.0.0.1", 0)) as server:

        def serve(conn: socket.socket) -> None:
            try:
                with _secured(conn, tls) if tls else conn as plain:
                    peer(plain)
            except OSError:
                pass  # some tests make the client close the connection

        def accept() -> None:
            while True:
                try:
                    conn, _ = server.accept()
                except OSError:
                    return
                kept.callback(conn.close)
                Thread(target=serve, args=(conn,), daemon=True).start()

        Thread(target=accept, daemon=True).start()
        yield server.getsockname()[1]
        server.shutdown(socket.SHUT_RDWR)


@contextmanager
def _secured(conn: socket.socket, tls: ssl.SSLContext) -> Iterator[ssl.SSLSocket]:
    with tls.wrap_socket(conn, server_side=True, do_handshake_on_connect=False) as secured:
        secured.do_handshake()
        yield secured


def read_head(conn: socket.socket) -> bytes:
    head = b""
    while b"\r\n\r\n" not in head:
        got = conn.recv(65_536)
        if not got:
            break
        head += got
    return head


def closes(conn: socket.socket) -> None:
    conn.close()


def resets(conn: socket.socket) -> None:
    conn.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    conn.close()


def says_nothing(conn: socket.socket) -> None:
    conn.recv(65_536)
    time.sleep(3)


def answers_and_closes(answer: bytes) -> Peer:
    def peer(conn: socket.socket) -> None:
        read_head(conn)
        conn.sendall(answer)
        conn.close()

    return peer


def reads_and_closes(conn: socket.socket) -> None:
    read_head(conn)
    conn.close()


def send(url: str, max_idle: float = 30.0) -> ApiResponse:
    server = Server(url, connect=0.3, read=0.5, connections=2, max_idle=max_idle)
    return call(lambda: server.request("POST", url, {}, b"a secret text"))


@pytest.fixture
def authority(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> trustme.CA:
    """A certificate authority that the environment trusts."""
    authority = trustme.CA()
    bundle = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(bundle)
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(bundle))
    return authority


def serving_as(authority: trustme.CA, *names: str) -> ssl.SSLContext:
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(*names).configure_cert(tls)
    return tls


def through(monkeypatch: pytest.MonkeyPatch, proxy: str) -> None:
    monkeypatch.setenv("no_proxy", "another.invalid")
    for name in ("http_proxy", "https_proxy", "HTTPS_PROXY"):
        monkeypatch.setenv(name, proxy)


# Not sent


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_refused_connection_is_not_accepted(scheme: str) -> None:
    with pytest.raises(NotAccepted, match="ConnectionRefusedError"):
        send(f"{scheme}://127.0.0.1:{free_port()}")


@pytest.mark.parametrize("scheme", ["http", "https"])
@pytest.mark.parametrize("host", ["nowhere.invalid", "a..b", "x" * 70, "xn--a"])
def test_unresolvable_name_is_not_accepted(scheme: str, host: str) -> None:
    with pytest.raises(NotAccepted):
        send(f"{scheme}://{host}/messages")


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_connect_timeout_is_not_accepted(scheme: str) -> None:
    with ExitStack() as full:
        server = full.enter_context(socket.socket())
        server.bind(("127.0.0.1", 0))
        server.listen(0)
        for _ in range(3):  # the queue of the listener is full: the next SYN gets no answer
            waiting = full.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(server.getsockname())
        time.sleep(0.05)
        with pytest.raises(NotAccepted, match="ConnectTimeout"):
            send(f"{scheme}://127.0.0.1:{server.getsockname()[1]}")


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_refusing_proxy_is_not_accepted(scheme: str, monkeypatch: pytest.MonkeyPatch) -> None:
    through(monkeypatch, f"http://127.0.0.1:{free_port()}")
    with pytest.raises(NotAccepted, match="ProxyError"):
        send(f"{scheme}://api.invalid/messages")


@pytest.mark.parametrize(
    "peer",
    [
        *(answers_and_closes(HTML.replace(b"502", code)) for code in (b"407", b"502", b"503")),
        *(answers_and_closes(b"garbage\r\n\r\n"), reads_and_closes, closes, resets, says_nothing),
    ],
)
def test_proxy_without_a_tunnel_is_not_accepted(
    peer: Peer, monkeypatch: pytest.MonkeyPatch
) -> None:
    with listening(peer) as port:
        through(monkeypatch, f"http://127.0.0.1:{port}")
        with pytest.raises(NotAccepted):
            send("https://api.invalid/messages")


@pytest.mark.parametrize(
    "proxy", ["http://:99999", "http://[::1", "socks5://127.0.0.1:1", "nonsense://x:1", "http://"]
)
@pytest.mark.parametrize("scheme", ["http", "https"])
def test_unusable_proxy_url_is_not_accepted(
    proxy: str, scheme: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    through(monkeypatch, proxy)
    with pytest.raises(NotAccepted):
        send(f"{scheme}://api.invalid/messages")


def answers_in_the_clear(conn: socket.socket) -> None:
    conn.sendall(HTML)
    conn.close()


def after_hello(peer: Peer) -> Peer:
    """Wait for the client's handshake: CPython leaks a socket that is reset before it."""

    def later(conn: socket.socket) -> None:
        conn.recv(65_536)
        peer(conn)

    return later


@pytest.mark.parametrize(
    "peer", [*map(after_hello, (answers_in_the_clear, closes, resets)), says_nothing]
)
def test_failed_tls_handshake_is_not_accepted(peer: Peer) -> None:
    with listening(peer) as port, pytest.raises(NotAccepted):
        send(f"https://127.0.0.1:{port}/messages")


def test_certificate_of_another_host_is_not_accepted(authority: trustme.CA) -> None:
    with (
        listening(read_head, serving_as(authority, "elsewhere.example")) as port,
        pytest.raises(NotAccepted, match="SSLError"),
    ):
        send(f"https://127.0.0.1:{port}/messages")


def test_certificate_of_an_unknown_ca_is_not_accepted(authority: trustme.CA) -> None:
    with (
        listening(read_head, serving_as(trustme.CA(), "127.0.0.1")) as port,
        pytest.raises(NotAccepted, match="SSLCertVerificationError"),
    ):
        send(f"https://127.0.0.1:{port}/messages")


def test_missing_certificate_bundle_is_not_accepted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    tls = serving_as(trustme.CA(), "127.0.0.1")
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", "/nowhere/at/all.pem")
    with listening(read_head, tls) as port, pytest.raises(NotAccepted, match="FileNotFoundError"):
        send(f"https://127.0.0.1:{port}/messages")


def test_reason_has_no_password_and_no_number(monkeypatch: pytest.MonkeyPatch) -> None:
    through(monkeypatch, f"http://me:hunter2@127.0.0.1:{free_port()}")
    with pytest.raises(NotAccepted) as caught:
        send("https://api.invalid/messages?To=%2B14155552671")
    assert caught.value.message == "the request was not sent (ProxyError: ConnectionRefusedError)"


# Possibly sent


@pytest.mark.parametrize("peer", [reads_and_closes, says_nothing, answers_and_closes(b"HTTP/1.1")])
def test_written_request_is_unknown(peer: Peer) -> None:
    with listening(peer) as port, pytest.raises(OutcomeUnknown):
        send(f"http://127.0.0.1:{port}/messages")


@pytest.mark.parametrize("peer", [reads_and_closes, says_nothing])
def test_written_tls_request_is_unknown(peer: Peer, authority: trustme.CA) -> None:
    with (
        listening(peer, serving_as(authority, "127.0.0.1")) as port,
        pytest.raises(OutcomeUnknown),
    ):
        send(f"https://127.0.0.1:{port}/messages")


def test_request_written_into_a_tunnel_is_unknown(
    authority: trustme.CA, monkeypatch: pytest.MonkeyPatch
) -> None:
    tls = serving_as(authority, "api.invalid")

    def proxy(conn: socket.socket) -> None:
        assert read_head(conn).startswith(b"CONNECT api.invalid:443")
        conn.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
        with _secured(conn, tls) as tunnel:
            read_head(tunnel)

    with listening(proxy) as port:
        through(monkeypatch, f"http://127.0.0.1:{port}")
        with pytest.raises(OutcomeUnknown):
            send("https://api.invalid/messages")


# Idle connections


class DroppingNat:
    """A server behind a NAT that drops each connection after one request."""

    def __init__(self) -> None:
        self.connections = 0
        self.requests = list[bytes]()

    def __call__(self, conn: socket.socket) -> None:
        self.connections += 1
        self.requests.append(read_head(conn))
        conn.sendall(CREATED)
        conn.recv(1)  # the NAT resets the connection at a second request
        resets(conn)


@pytest.mark.parametrize("tls", [False, True])
def test_connection_idle_for_too_long_is_not_used(tls: bool, authority: trustme.CA) -> None:
    peer = DroppingNat()
    with listening(peer, serving_as(authority, "127.0.0.1") if tls else None) as port:
        url = f"{'https' if tls else 'http'}://127.0.0.1:{port}"
        server = Server(url, connect=1.0, read=1.0, connections=2, max_idle=0.1)
        for _ in range(3):
            assert server.request("DELETE", url, {}).status == 201
            time.sleep(0.2)
    assert peer.connections == 3


def test_idle_limit_holds_through_a_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    peer = DroppingNat()
    with listening(peer) as port:
        through(monkeypatch, f"http://127.0.0.1:{port}")
        server = Server("http://api.invalid", connect=1.0, read=1.0, connections=2, max_idle=0.1)
        for _ in range(2):
            assert server.request("DELETE", "http://api.invalid/x", {}).status == 201
            time.sleep(0.2)
    assert peer.connections == 2


def test_connection_in_steady_use_is_kept() -> None:
    accepted, answered = list[int](), list[bytes]()

    def peer(conn: socket.socket) -> None:
        accepted.append(1)
        while head := read_head(conn):
            answered.append(head)  # before the answer: the client may go on before this thread
            conn.sendall(CREATED)

    with listening(peer) as port:
        url = f"http://127.0.0.1:{port}"
        server = Server(url, connect=1.0, read=1.0, connections=2)
        for _ in range(5):
            server.request("DELETE", url, {})
    assert (len(accepted), len(answered)) == (1, 5)


def test_connections_are_kept_alive_by_tcp() -> None:
    with standing() as stand:
        server = Server(stand.url, connect=1.0, read=1.0, connections=2)
        conn = server._connections._make().connection_from_url(stand.url)._get_conn()
        conn.connect()
        assert conn.sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1
        assert conn.sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) == 1
        conn.close()


def test_failed_first_write_is_not_accepted() -> None:
    requests = list[bytes]()

    def peer(conn: socket.socket) -> None:
        requests.append(read_head(conn))
        conn.sendall(CREATED)
        time.sleep(3)

    with listening(peer) as port:
        url = f"http://127.0.0.1:{port}"
        server = Server(url, connect=1.0, read=1.0, connections=2)
        server.request("DELETE", url, {})
        [pool] = server._connections._manager.pools._container.values()
        [kept] = filter(None, pool.pool.queue)
        kept.sock.shutdown(socket.SHUT_WR)  # like a connection that just died
        with pytest.raises(NotAccepted):
            call(lambda: server.request("DELETE", url, {}))
    assert len(requests) == 1
