"""A call goes to a checked address, ends in time, and raises nothing."""

import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
import trustme

from demo.servers import free_port
from service.webhook_client.client import Answer, WebhookClient
from tests.service.providers.test_connections import (
    Peer,
    answers_and_closes,
    closes,
    listening,
    read_head,
    reads_and_closes,
    resets,
    says_nothing,
    serving_as,
)
from tests.service.webhook_client.conftest import LOOPBACK, Resolves

NO_CONTENT = b"HTTP/1.1 204 No Content\r\n\r\n"
LAST = b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n"


def answers(answer: bytes, heads: list[bytes] | None = None) -> Peer:
    """Answer each request on the connection."""

    def peer(conn: socket.socket) -> None:
        while (head := read_head(conn)) and b"POST " in head:
            if heads is not None:
                heads.append(head)
            conn.sendall(answer)

    return peer


def crawls(head: bytes) -> Peer:
    """Send a head, and then a byte every 50 ms."""

    def peer(conn: socket.socket) -> None:
        read_head(conn)
        conn.sendall(head)
        while True:
            conn.sendall(b"x")
            time.sleep(0.05)

    return peer


@contextmanager
def within(seconds: float) -> Iterator[None]:
    started = time.monotonic()
    yield
    assert time.monotonic() - started < seconds


def post(client: WebhookClient, port: int, scheme: str = "http", host: str = "127.0.0.1") -> Answer:
    return client.post(f"{scheme}://{host}:{port}/hook?token=hunter2", {"x-test": "1"}, b"{}")


# The answer


@pytest.mark.parametrize("status", [200, 204, 400, 410, 429, 503])
def test_answer_has_the_status(client: WebhookClient, status: int) -> None:
    with listening(answers(b"HTTP/1.1 %d X\r\nContent-Length: 0\r\n\r\n" % status)) as port:
        assert post(client, port) == Answer(status)


@pytest.mark.parametrize(
    ("header", "seconds"),
    [("120", 120.0), ("9" * 400, 21_600.0), ("soon", None), ("-5", None), ("9" * 5000, None)],
)
def test_retry_after_is_read_and_bounded(
    client: WebhookClient, header: str, seconds: float | None
) -> None:
    answer = f"HTTP/1.1 429 X\r\nRetry-After: {header}\r\nContent-Length: 0\r\n\r\n".encode()
    with listening(answers(answer)) as port:
        assert post(client, port) == Answer(429, None, seconds)


def test_retry_after_may_be_a_date(client: WebhookClient) -> None:
    date = format_datetime(datetime.now(UTC) + timedelta(seconds=100), usegmt=True)
    answer = f"HTTP/1.1 503 X\r\nRetry-After: {date}\r\nContent-Length: 0\r\n\r\n".encode()
    with listening(answers(answer)) as port:
        assert 90 < (post(client, port).retry_after or 0) <= 100


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_redirect_is_not_followed(client: WebhookClient, status: int) -> None:
    called = list[bytes]()
    with listening(answers(NO_CONTENT, called)) as forbidden:
        location = f"http://127.0.0.1:{forbidden}/?token=hunter2"
        head = f"HTTP/1.1 {status} X\r\nLocation: {location}\r\nContent-Length: 0\r\n\r\n".encode()
        with listening(answers(head)) as port:
            answer = post(client, port)
    assert answer.status == status
    assert "redirect" in (answer.error or "")
    assert called == []


@pytest.mark.parametrize(
    "peer",
    [
        *(closes, resets, reads_and_closes, says_nothing),
        *(answers_and_closes(b"garbage\r\n\r\n"), answers_and_closes(b"HTTP/1.1")),
        answers_and_closes(b"HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 200 OK\r\n\r\n"),
        answers_and_closes(b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 200 + b"\r\n"),
        answers_and_closes(b"HTTP/1.1 200 OK\r\nX: " + b"y" * 200_000 + b"\r\n\r\n"),
        answers_and_closes(
            b"HTTP/1.1 200 OK\r\n" + (b"X: " + b"y" * 60_000 + b"\r\n") * 5 + b"\r\n"
        ),
    ],
)
def test_failed_call_has_an_error_without_secrets(
    client: WebhookClient, peer: Peer, quick: None
) -> None:
    with listening(peer) as port:
        answer = post(client, port)
    assert answer.status is None
    assert 0 < len(answer.error or "") <= 200
    assert "hunter2" not in (answer.error or "")


@pytest.mark.parametrize(
    "url", ["", "nonsense", "http://[", "http://a:b@c/", "https://127.0.0.1:1"]
)
def test_unusable_url_raises_nothing(client: WebhookClient, url: str) -> None:
    assert client.post(url, {}, b"").status is None


def test_http_is_called_only_if_allowed() -> None:
    with listening(answers(NO_CONTENT)) as port:
        assert post(WebhookClient(LOOPBACK, 8), port).status == 204
        assert post(WebhookClient(LOOPBACK, 8, https_only=True), port).status is None


# Time


@pytest.mark.parametrize("head", [b"HTTP/1.1 200 OK\r\nX: ", b"HTTP/1.1 20", b""])
def test_crawling_head_ends_in_time(client: WebhookClient, quick: None, head: bytes) -> None:
    with listening(crawls(head)) as port, within(1.5):
        assert post(client, port).error == "no answer within 0.5 s"


def test_crawling_handshake_ends_in_time(client: WebhookClient, quick: None) -> None:
    def crawl(conn: socket.socket) -> None:
        conn.recv(65_536)
        conn.sendall(b"\x16\x03\x03\x40\x00")  # a record of 16 KiB, which then comes byte by byte
        while True:
            conn.sendall(b"\x02")
            time.sleep(0.05)

    with listening(crawl) as port, within(1.5):
        assert post(client, port, "https").error == "no answer within 0.5 s"


def test_receiver_that_does_not_read_ends_in_time(client: WebhookClient, quick: None) -> None:
    with listening(lambda conn: time.sleep(2)) as port, within(1.5):
        answer = client.post(f"http://127.0.0.1:{port}/", {}, bytes(50_000_000))
    assert answer.status is None


@pytest.mark.parametrize(
    "head",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n400\r\n",
        b"HTTP/1.1 200 OK\r\n\r\n",
    ],
)
def test_status_counts_although_the_body_crawls(
    client: WebhookClient, quick: None, head: bytes
) -> None:
    with listening(crawls(head)) as port, within(0.45):
        assert post(client, port) == Answer(200)


def test_endless_body_is_not_read(client: WebhookClient) -> None:
    def floods(conn: socket.socket) -> None:
        read_head(conn)
        conn.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n")
        for _ in range(1_000):
            conn.sendall(bytes(1_000_000))

    with listening(floods) as port, within(2):
        assert post(client, port) == Answer(200)


# The address


def test_next_address_is_tried(client: WebhookClient, resolves: Resolves) -> None:
    resolves("127.0.0.3", "127.0.0.1")
    with listening(answers(NO_CONTENT)) as port:
        assert post(client, port, host="hooks.example").status == 204


def test_name_with_one_forbidden_address_is_not_called(
    client: WebhookClient, resolves: Resolves
) -> None:
    resolves("127.0.0.1", "169.254.169.254")
    called = list[bytes]()
    with listening(answers(NO_CONTENT, called)) as port:
        answer = post(client, port, host="hooks.example")
    assert answer.error == "not called: the address 169.254.169.254 is link-local"
    assert called == []


def test_name_that_changes_its_address_is_checked_again(
    client: WebhookClient, resolves: Resolves
) -> None:
    resolves("127.0.0.1")
    called = list[bytes]()
    with listening(answers(LAST, called)) as port:
        assert post(client, port, host="hooks.example").status == 204
    resolves("0.0.0.0")
    answer = post(client, port, host="hooks.example")
    assert answer.error == "not called: the address 0.0.0.0 is unspecified"
    assert len(called) == 1


def test_ipv6_address_is_called(client: WebhookClient) -> None:
    heads = list[bytes]()
    try:
        server = socket.create_server(("::1", 0), family=socket.AF_INET6)
    except OSError:
        pytest.skip("this machine has no IPv6")

    def serve() -> None:
        with server.accept()[0] as conn:
            answers(LAST, heads)(conn)

    with server, ThreadPoolExecutor(1) as threads:
        threads.submit(serve)
        port = server.getsockname()[1]
        assert post(client, port, host="[::1]").status == 204
    assert f"Host: [::1]:{port}".encode() in heads[0]


def test_proxy_of_the_environment_is_not_used(
    client: WebhookClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{free_port()}")
    with listening(answers(NO_CONTENT)) as port:
        assert post(client, port).status == 204


# The host


def test_host_is_in_sni_certificate_and_header(
    client: WebhookClient, resolves: Resolves, authority: trustme.CA
) -> None:
    resolves("127.0.0.1")
    requested, heads = list[str | None](), list[bytes]()
    tls = serving_as(authority, "hooks.example")
    tls.sni_callback = lambda _socket, name, _context: requested.append(name)
    with listening(answers(NO_CONTENT, heads), tls) as port:
        assert post(client, port, "https", "HOOKS.example.") == Answer(204)
    assert requested == ["hooks.example"]
    assert f"Host: hooks.example:{port}\r\n".encode() in heads[0]
    assert heads[0].startswith(b"POST /hook?token=hunter2 HTTP/1.1\r\n")


def test_certificate_of_another_host_is_refused(
    client: WebhookClient, resolves: Resolves, authority: trustme.CA
) -> None:
    resolves("127.0.0.1")
    heads = list[bytes]()
    # A certificate for the address must not serve for the name.
    tls = serving_as(authority, "127.0.0.1", "elsewhere.example")
    with listening(answers(NO_CONTENT, heads), tls) as port:
        answer = post(client, port, "https", "hooks.example")
    assert answer.status is None
    assert "certificate" in (answer.error or "")
    assert heads == []


def test_certificate_of_an_unknown_authority_is_refused(
    client: WebhookClient, authority: trustme.CA
) -> None:
    with listening(answers(NO_CONTENT), serving_as(trustme.CA(), "127.0.0.1")) as port:
        answer = post(client, port, "https")
    assert answer.status is None
    assert "certificate" in (answer.error or "")


def test_missing_certificate_bundle_raises_nothing(
    client: WebhookClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", "/nowhere/at/all.pem")
    with listening(answers(NO_CONTENT), serving_as(trustme.CA(), "127.0.0.1")) as port:
        assert post(client, port, "https").status is None


# Kept connections


class Counted:
    """A receiver that counts its connections and requests."""

    def __init__(self, answer: bytes = NO_CONTENT) -> None:
        self.connections = 0
        self.heads = list[bytes]()
        self._answer = answer

    def __call__(self, conn: socket.socket) -> None:
        self.connections += 1
        answers(self._answer, self.heads)(conn)


@pytest.mark.parametrize(
    "answer",
    [
        NO_CONTENT,
        b"HTTP/1.1 500 No\r\nContent-Length: 3\r\n\r\nno!",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nyes\r\n0\r\n\r\n",
    ],
)
@pytest.mark.parametrize("tls", [False, True])
def test_connection_is_used_again(
    client: WebhookClient, authority: trustme.CA, answer: bytes, tls: bool
) -> None:
    receiver = Counted(answer)
    secured = serving_as(authority, "127.0.0.1") if tls else None
    with listening(receiver, secured) as port:
        for _ in range(5):
            assert post(client, port, "https" if tls else "http").status is not None
    assert (receiver.connections, len(receiver.heads)) == (1, 5)


def test_connection_with_an_unread_body_is_closed(client: WebhookClient) -> None:
    body = b"y" * 20_000
    receiver = Counted(b"HTTP/1.1 200 OK\r\nContent-Length: 20000\r\n\r\n" + body)
    with listening(receiver) as port:
        assert [post(client, port).status for _ in range(3)] == [200] * 3
    assert receiver.connections == 3


@pytest.mark.parametrize("tls", [False, True])
def test_closed_kept_connection_is_replaced(
    client: WebhookClient, authority: trustme.CA, tls: bool
) -> None:
    heads = list[bytes]()

    def closes_at_the_second(conn: socket.socket) -> None:
        heads.append(read_head(conn))
        conn.sendall(NO_CONTENT)
        heads.append(read_head(conn))  # too late to notice before the request is written
        resets(conn)

    secured = serving_as(authority, "127.0.0.1") if tls else None
    with listening(closes_at_the_second, secured) as port:
        scheme = "https" if tls else "http"
        assert [post(client, port, scheme).status for _ in range(2)] == [204] * 2
        assert len(heads) == 3


def test_new_connection_is_not_tried_twice(client: WebhookClient) -> None:
    heads = list[bytes]()

    def reads_and_counts(conn: socket.socket) -> None:
        heads.append(read_head(conn))
        conn.close()

    with listening(reads_and_counts) as port:
        assert post(client, port).status is None
    assert len(heads) == 1


def test_threads_share_one_client(client: WebhookClient) -> None:
    receiver = Counted()
    with listening(receiver) as port, ThreadPoolExecutor(64) as threads:
        statuses = list(threads.map(lambda _: post(client, port).status, range(600)))
    assert statuses == [204] * 600
    assert len(receiver.heads) == 600
