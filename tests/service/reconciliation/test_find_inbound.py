"""Inbound messages that never arrived are found in the lists of the providers."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from flask import Flask
from sqlalchemy import func, select, update

from service.database import db, transaction
from service.domain.status import Status
from service.errors import NotAccepted, OutcomeUnknown, ProviderError, Refused
from service.inbound.record import record
from service.models import Client, ClientSender, InboundList, InboundMessage, Message
from service.providers.inbound import Inbound, ListPage, ListQuery
from service.queries import inbound_lists
from service.queries.inbound_lists import ListKey
from service.reconciliation import find_inbound as finding
from service.reconciliation.find_inbound import find_inbound
from service.sending import deliver
from tests.fakes import FakeProvider
from tests.messages import Post
from tests.service.inbound.conversation import SENDER, heard
from tests.strategies import EPOCH

pytestmark = pytest.mark.usefixtures("context")
MINUTE = timedelta(minutes=1)


def ago(minutes: float) -> datetime:
    return datetime.now(UTC) - minutes * MINUTE


class Book:
    """A provider's list, newest first, in pages."""

    def __init__(self, page_size: int = 100) -> None:
        self.messages: list[Inbound] = []
        self.queries: list[ListQuery] = []
        self.error: ProviderError | None = None
        self._page_size = page_size

    def __call__(self, query: ListQuery) -> ListPage:
        self.queries.append(query)
        if self.error is not None:
            raise self.error
        matching = [
            message
            for message in sorted(self.messages, key=_time, reverse=True)
            if query.since <= _time(message) <= query.until
            and query.sender in ("*", message.to_address)
        ]
        begin = int(query.page or 0)
        end = begin + self._page_size
        return ListPage(matching[begin:end], str(end) if end < len(matching) else None)

    def write(self, body: str, minutes_ago: float, **changes: str) -> Inbound:
        """Add a message, which does not arrive."""
        message = heard(body, **changes)._replace(provider_time=ago(minutes_ago))
        self.messages.append(message)
        return message


def _time(message: Inbound) -> datetime:
    assert message.provider_time is not None
    return message.provider_time


@pytest.fixture
def book(context: Flask, provider: FakeProvider) -> Book:
    """The list of the fake provider, known for an hour and due."""
    book = Book()
    provider.listing = book
    assert find_inbound() == 0
    begin(ago(60))
    return book


def begin(read_until: datetime) -> None:
    """Set how far all lists were read, and make them due."""
    with transaction():
        values = {"read_until": read_until, "next_at": EPOCH, "window_end": None, "page": None}
        db.session.execute(update(InboundList).values(values))


def make_due() -> None:
    with transaction():
        db.session.execute(update(InboundList).values(next_at=EPOCH))


def only_list() -> InboundList:
    db.session.rollback()
    db.session.expire_all()
    return db.session.scalars(select(InboundList)).one()


def number_recorded() -> int:
    db.session.rollback()
    return db.session.scalar(select(func.count()).select_from(InboundMessage)) or 0


def status_of(post: Post) -> Status:
    """Send a message; return its status."""
    message_id = post()
    deliver.deliver()
    db.session.rollback()
    return Status(db.session.get_one(Message, message_id).status)


def test_missed_stop_is_found(book: Book, post: Post, provider: FakeProvider) -> None:
    book.write("STOP", 30)
    assert find_inbound() == 1
    assert (status_of(post), provider.on_air) == (Status.FAILED, [])
    stored = db.session.scalars(select(InboundMessage)).one()
    assert (stored.body, stored.provider_time) == ("STOP", book.messages[0].provider_time)


def test_missed_stop_does_not_end_a_later_start(book: Book, post: Post) -> None:
    """The time of the provider counts, not the time at which the message is found."""
    record([heard("START", ago(10))])
    book.write("STOP", 30)
    assert find_inbound() == 1
    assert status_of(post) is Status.QUEUED


def test_message_that_arrived_is_not_recorded_again(
    book: Book, provider: FakeProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nor are its media listed: most messages of a list have arrived."""
    requests = list[Inbound]()
    monkeypatch.setattr(provider, "with_media", lambda each: requests.append(each), raising=False)
    record([book.write("Hello", 5)])
    assert find_inbound() == 0
    assert (number_recorded(), requests) == (1, [])


def test_deleted_message_is_not_recorded_again(book: Book, configure: Callable[..., None]) -> None:
    begin(ago(3))
    book.write("Hello", 8)
    configure(keep_messages=5 / 1440)
    assert (find_inbound(), number_recorded()) == (0, 0)
    configure(keep_messages=10 / 1440)
    begin(ago(3))
    assert (find_inbound(), number_recorded()) == (1, 1)


def test_list_is_read_from_the_time_at_which_it_is_known(provider: FakeProvider) -> None:
    """Earlier messages were answered by another system, perhaps."""
    book = Book()
    provider.listing = book
    book.write("Hello", 60)
    assert find_inbound() == 0
    assert book.queries == []
    make_due()
    assert find_inbound() == 0
    assert (len(book.queries), number_recorded()) == (1, 0)


def test_young_message_may_still_arrive(book: Book) -> None:
    book.write("Hello", 0.5)
    assert find_inbound() == 0
    book.messages[0] = book.messages[0]._replace(provider_time=ago(1.5))
    make_due()
    assert find_inbound() == 1


def test_message_that_the_list_shows_late_is_found(book: Book) -> None:
    assert find_inbound() == 0
    assert only_list().read_until > ago(2)
    book.write("Hello", 8)
    make_due()
    assert find_inbound() == 1


def test_long_list_is_continued_in_the_next_run(provider: FakeProvider, book: Book) -> None:
    """Also when messages come meanwhile, which are not part of its time."""
    short_pages = Book(page_size=2)
    provider.listing = short_pages
    for number in range(23):
        short_pages.write("Hello", 10 + number)
    assert find_inbound() == 2 * finding._MAX_PAGES
    stopped = only_list()
    assert stopped.page is not None
    assert stopped.read_until < ago(59)
    late = short_pages.write("Hello", 0.5)
    assert find_inbound() == 10
    assert find_inbound() == 3
    assert len({query.until for query in short_pages.queries}) == 1
    ended = only_list()
    assert (ended.page, ended.window_end, number_recorded()) == (None, None, 23)
    short_pages.messages[-1] = late._replace(provider_time=ago(1.5))
    make_due()
    assert find_inbound() == 1


@pytest.mark.parametrize("error", [NotAccepted("slow"), OutcomeUnknown("no answer"), Refused("no")])
def test_failed_read_is_repeated_later(book: Book, error: ProviderError) -> None:
    book.write("Hello", 30)
    book.error = error
    assert find_inbound() == 0
    assert find_inbound() == 0
    assert len(book.queries) == 1, "not before the next interval"
    assert only_list().read_until < ago(59)
    book.error = None
    make_due()
    assert find_inbound() == 1


@pytest.mark.parametrize(("error", "page"), [(NotAccepted("slow"), "10"), (Refused("what?"), None)])
def test_refused_page_restarts_the_list(
    provider: FakeProvider, book: Book, error: ProviderError, page: str | None
) -> None:
    """Twilio may forget a page; a provider that is down does not."""
    short_pages = Book(page_size=2)
    provider.listing = short_pages
    for number in range(12):
        short_pages.write("Hello", 10 + number)
    assert find_inbound() == 10
    short_pages.error = error
    assert find_inbound() == 0
    assert only_list().page == page
    short_pages.error = None
    make_due()
    assert find_inbound() + find_inbound() == 2
    assert number_recorded() == 12


def test_account_that_does_not_answer_is_asked_once_a_run(
    book: Book, register: Callable[..., None]
) -> None:
    register("+15005550007", "+15005550008")
    find_inbound()
    begin(ago(60))
    book.queries.clear()
    book.error = NotAccepted("slow")
    assert find_inbound() == 0
    assert len(book.queries) == 1


@pytest.mark.parametrize(("every", "reads"), [(300.0, 1), (0.0, 0)])
def test_interval_is_a_setting_and_0_reads_nothing(
    book: Book, configure: Callable[..., None], every: float, reads: int
) -> None:
    configure(inbound_list_every=every)
    find_inbound()
    find_inbound()
    assert len(book.queries) == reads
    if reads:
        assert (
            timedelta(seconds=every - 60) < only_list().next_at - ago(0) <= timedelta(seconds=every)
        )


def test_message_does_not_wait_for_its_media(
    book: Book, provider: FakeProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_: Inbound) -> Inbound:
        raise NotAccepted("slow")

    monkeypatch.setattr(provider, "with_media", fail, raising=False)
    book.write("STOP", 30)
    assert find_inbound() == 1


@pytest.fixture
def register() -> Callable[..., None]:
    """Give senders to a client, or to one for tests."""

    def add(*senders: str, test: bool = False) -> None:
        with transaction():
            client = Client(name="shop", test=test, created_at=EPOCH)
            db.session.add(client)
            db.session.flush()
            for sender in senders:
                row = ClientSender(sender=sender, client_id=client.id, created_at=EPOCH)
                db.session.add(row)

    return add


def test_senders_of_clients_are_listed_without_those_of_test_keys(
    book: Book, register: Callable[..., None]
) -> None:
    register("+15005550007")
    register("+15005550008", test=True)
    find_inbound()
    senders = set(db.session.scalars(select(InboundList.sender)))
    assert senders == {SENDER, "+15005550007"}


KEYS = {ListKey("twilio", "default", SENDER)}


@pytest.mark.usefixtures("book")
def test_list_is_leased_to_one_worker() -> None:
    now = datetime.now(UTC)
    with transaction():
        [leased] = inbound_lists.claim(KEYS, now, now + MINUTE, 10)
    with transaction():
        assert inbound_lists.claim(KEYS, now, now + MINUTE, 10) == []
    with transaction():
        [_] = inbound_lists.claim(KEYS, now + 2 * MINUTE, now + 3 * MINUTE, 10)
    db.session.expunge_all()
    with transaction():
        assert not inbound_lists.save(leased, read_until=now), "the lease is over"
    assert only_list().read_until < ago(59)


@pytest.mark.usefixtures("book")
def test_list_of_an_account_that_is_gone_is_not_read() -> None:
    gone = {ListKey("twilio", "gone", SENDER)}
    with transaction():
        inbound_lists.add(gone | KEYS, EPOCH, EPOCH)
    with transaction():
        claimed = inbound_lists.claim(KEYS, datetime.now(UTC), datetime.now(UTC) + MINUTE, 10)
    assert [each.account for each in claimed] == ["default"]
