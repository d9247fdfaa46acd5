"""The list of messages: its filters and its pages.

https://www.twilio.com/docs/messaging/api/message-resource#read-multiple-message-resources
"""

from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime
from itertools import islice
from typing import Final
from urllib.parse import urlencode

from simulator.books import Books
from simulator.codes import Refusal
from simulator.form import Form, one
from simulator.message import Message
from simulator.resource import API_VERSION, to_resource

_USUAL_PAGE: Final = 50
_LARGEST_PAGE: Final = 1_000
_FILTERS: Final = ("To", "From", "DateSent", "DateSent<", "DateSent>")
_PAGE_MARK: Final = "PA"  # then the number of the last message shown: new ones do not move a page

Test = Callable[[Message], bool]


def list_page(books: Books, account_sid: str, query: Form) -> dict[str, object]:
    """Return one page, newest first. Raises Refusal."""
    size = min(max(_whole(query, "PageSize", _USUAL_PAGE), 1), _LARGEST_PAGE)
    number = _whole(query, "Page", 0)
    found = list(islice(_matching(books, query), size + 1))
    shown = found[:size]
    uri = f"/{API_VERSION}/Accounts/{account_sid}/Messages.json?"
    kept = {name: value for name in _FILTERS if (value := one(query, name))}
    here = uri + urlencode(kept | {"PageSize": size})
    following = {
        "Page": number + 1,
        "PageToken": f"{_PAGE_MARK}{shown[-1].number}" if shown else "",
    }
    return {
        "messages": [to_resource(message, account_sid) for message in shown],
        "page": number,
        "page_size": size,
        "start": number * size,
        "end": number * size + max(len(shown) - 1, 0),
        "uri": f"{here}&Page={number}",
        "first_page_uri": f"{here}&Page=0",
        "previous_page_uri": None,
        "next_page_uri": f"{here}&{urlencode(following)}" if len(found) > size else None,
    }


def _matching(books: Books, query: Form) -> Iterator[Message]:
    tests = list(_tests(query))
    messages = books.newest_first(one(query, "To"))
    return (
        message
        for message in messages
        if message.order.wire == "twilio"
        and not message.deleted
        and all(test(message) for test in tests)
    )


def _tests(query: Form) -> Iterator[Test]:
    if token := one(query, "PageToken"):
        before = _token_number(token)
        yield lambda message: message.number < before
    if sender := one(query, "From"):
        yield lambda message: message.sender == sender
    if text := one(query, "DateSent"):
        yield _sent(text[:10], lambda sent, day: sent == day)
    if text := one(query, "DateSent<"):
        yield _sent(text, lambda sent, limit: sent <= limit)
    if text := one(query, "DateSent>"):
        yield _sent(text, lambda sent, limit: sent >= limit)


def _sent(text: str, compare: Callable[[date, date], bool]) -> Test:
    """Compare by day or, when a time is given, by second; not yet sent never fits."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise Refusal(20001, f"Invalid DateSent: {text}") from None
    if len(text) == len("YYYY-MM-DD"):
        day = moment.date()
        return lambda message: bool(message.sent_at) and compare(_day(message), day)
    limit = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return lambda message: bool(message.sent_at) and compare(_second(message), limit)


def _day(message: Message) -> date:
    return _second(message).date()


def _second(message: Message) -> datetime:
    assert message.sent_at is not None
    return message.sent_at.replace(microsecond=0)


def _token_number(token: str) -> int:
    number = token.removeprefix(_PAGE_MARK)
    if not number.isdecimal():
        raise Refusal(20001, f"Invalid PageToken: {token}")
    return int(number)


def _whole(query: Form, name: str, usual: int) -> int:
    text = one(query, name)
    return int(text) if text and text.isdecimal() else usual
